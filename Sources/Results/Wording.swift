// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Triage

/// Texts of our own in an object whose character set is that of the original instance.
enum Wording {
    static let notForDiagnosis = "AI result - not for diagnosis"

    /// ASCII, which every character set has: letters without their accents, “?” for what has no likeness.
    static func plain(_ text: String, most: Int = 1024) -> String {
        var plain = ""
        for character in text.decomposedStringWithCompatibilityMapping.unicodeScalars {
            switch character {
            case " "..."~": plain.unicodeScalars.append(character)
            case "\u{0300}"..."\u{036F}": break
            case "\u{2010}"..."\u{2015}", "\u{2212}": plain += "-"
            case "\u{2018}"..."\u{201B}": plain += "'"
            case "\u{201C}"..."\u{201F}": plain += "\""
            case "ß": plain += "ss"
            case "\u{00AD}", "\u{200B}": break
            default: plain += character.properties.isWhitespace ? " " : "?"
            }
        }
        return String(plain.trimmingCharacters(in: .whitespaces).prefix(most))
    }

    /// For an element of VR LO: one value of up to 64 characters (PS3.5 6.2).
    static func longString(_ text: String) -> String {
        plain(text.replacingOccurrences(of: "\\", with: "/"), most: 64)
    }

    /// 0.973 as “0.973”, 1 as “1.000”.
    static func probability(_ value: Double) -> String { decimal(value, digits: 3) }

    /// What a flag is worth at the site that made it.
    static func worth(_ validation: SiteValidation) -> String {
        func share(_ estimate: SiteValidation.Estimate?) -> String {
            guard let estimate else { return "unknown" }
            return "\(decimal(100 * estimate.value, digits: 0)) % "
                + "(\(decimal(100 * estimate.low, digits: 0)) to \(decimal(100 * estimate.high, digits: 0)))"
        }
        return "Validated at this site on \(validation.labels) labelled studies of patients kept apart from training, "
            + "\(validation.positives) of them with the finding: sensitivity \(share(validation.sensitivity)), "
            + "specificity \(share(validation.specificity)), with 95 % intervals."
    }

    /// At most 16 characters, as VR DS has (PS3.5 6.2).
    static func percent(_ probability: Double) -> String { decimal(probability * 100, digits: 2) }

    private static func decimal(_ value: Double, digits: Int) -> String {
        String(format: "%.\(digits)f", locale: Locale(identifier: "en_US_POSIX"), min(max(value, -1e6), 1e6))
    }

    /// DA and TM in the worker's time zone, as a modality writes them.
    static func dateAndTime(_ unixMilliseconds: Int64) -> (date: String, time: String) {
        let date = Date(timeIntervalSince1970: Double(unixMilliseconds) / 1000)
        let parts = Calendar(identifier: .gregorian).dateComponents(
            [.year, .month, .day, .hour, .minute, .second], from: date)
        func two(_ number: Int?) -> String { String(format: "%02d", number ?? 0) }
        return (
            String(format: "%04d", parts.year ?? 1970) + two(parts.month) + two(parts.day),
            two(parts.hour) + two(parts.minute) + two(parts.second)
        )
    }
}
