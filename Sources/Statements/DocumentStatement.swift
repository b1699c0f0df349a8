// SPDX-License-Identifier: GPL-3.0-or-later

/// What a document of the department says about a study, in the findings' own names.
public struct DocumentStatement: Codable, Sendable, Equatable {
    public var kind: DocumentKind
    /// By finding: whether it is there.
    public var findings: [String: Bool]
    /// The title that says that nothing should be learned from these images; nil: they are good.
    public var rejection: String?
    /// Who said it; may be empty.
    public var reader: String
    /// In lower case; may be empty.
    public var role: String
    /// Whether somebody who may has signed it.
    public var isAuthoritative: Bool
    /// Unix milliseconds UTC.
    public var at: Int64

    public var isEmpty: Bool { findings.isEmpty && rejection == nil }
}
