// SPDX-License-Identifier: GPL-3.0-or-later
import CResults

/// Why a result object could not be made. Carries no value of a patient-related element.
public struct ResultsError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }

    init(_ error: gr_error) {
        var error = error
        description = withUnsafeBytes(of: &error.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
