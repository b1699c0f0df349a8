// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

extension TimeZone {
    /// An offset as DICOM writes it, `+0100` (PS3.5 table 6.2-1, VR DT); nil when the text is none.
    init?(dicom text: String) {
        let digits = text.dropFirst()
        guard text.utf8.count == 5, let sign = text.first, sign == "+" || sign == "-",
            digits.allSatisfy(\.isASCIIDigit),
            let hours = Int(digits.prefix(2)), let minutes = Int(digits.suffix(2)), hours <= 14, minutes < 60
        else { return nil }
        self.init(secondsFromGMT: (sign == "-" ? -1 : 1) * (hours * 60 + minutes) * 60)
    }
}

extension Int64 {
    /// Unix milliseconds UTC of a DICOM date time, `YYYYMMDD[HH[MM[SS[.FFFFFF]]]][&ZZXX]`; nil when it is none.
    init?(dicomDateTime text: String, zone: TimeZone) {
        let body = text.prefix { $0 != "+" && $0 != "-" }
        let zone = TimeZone(dicom: String(text.dropFirst(body.count))) ?? zone
        let digits = body.prefix { $0 != "." }
        guard (8...14).contains(digits.utf8.count), digits.utf8.count % 2 == 0, digits.allSatisfy(\.isASCIIDigit) else {
            return nil
        }
        func number(_ from: Int, _ count: Int) -> Int {
            let part = digits.dropFirst(from).prefix(count)
            return part.isEmpty ? 0 : Int(part) ?? 0
        }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        let parts = DateComponents(
            year: number(0, 4), month: number(4, 2), day: number(6, 2), hour: number(8, 2), minute: number(10, 2),
            second: number(12, 2))
        guard (1900...2200).contains(number(0, 4)), (1...12).contains(number(4, 2)), (1...31).contains(number(6, 2)),
            number(8, 2) < 24, number(10, 2) < 60, number(12, 2) <= 60, let date = calendar.date(from: parts)
        else { return nil }
        let fraction = body.dropFirst(digits.count + 1).prefix(3)
        let milliseconds = Int(fraction.padding(toLength: 3, withPad: "0", startingAt: 0)) ?? 0
        self = Int64(date.timeIntervalSince1970) * 1000 + Int64(milliseconds)
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isNumber }
}
