// SPDX-License-Identifier: GPL-3.0-or-later

/// Somebody's statement about a study: the finding is there or not.
public struct Label: Sendable, Equatable {
    public var study: StudyKey
    public var finding: String
    public var isPresent: Bool
    public var source: Source
    /// Who said it; may be empty.
    public var reader: String
    /// For example `radiologist`.
    public var role: String
    /// Unix milliseconds UTC; the latest statement wins.
    public var at: Int64

    public enum Source: String, Sendable {
        /// Agree or disagree with a flag at the gateway.
        case review
        /// `gantry labels import`
        case sheet
    }

    public init(
        study: StudyKey, finding: String, isPresent: Bool, source: Source, reader: String, role: String,
        at: Int64
    ) {
        self.study = study
        self.finding = finding
        self.isPresent = isPresent
        self.source = source
        self.reader = reader
        self.role = role
        self.at = at
    }
}
