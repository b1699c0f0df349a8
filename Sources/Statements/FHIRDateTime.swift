// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

extension Int64 {
    /// Unix milliseconds UTC of a FHIR dateTime or instant: a date, or a date and time with its zone. Of a day or month
    /// its first moment, UTC.
    init?(fhirDateTime text: String) {
        guard text.utf8.count <= 40 else { return nil }
        let full =
            switch text.utf8.count {
            case 4: text + "-01-01T00:00:00Z"
            case 7: text + "-01T00:00:00Z"
            case 10: text + "T00:00:00Z"
            default: text
            }
        let style = Date.ISO8601FormatStyle()
        guard
            let date = (try? style.parse(full))
                ?? (try? Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(full))
        else { return nil }
        self = Int64((date.timeIntervalSince1970 * 1000).rounded())
    }
}
