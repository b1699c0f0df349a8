// SPDX-License-Identifier: GPL-3.0-or-later

/// Somebody's statement about a study: the finding is there or not.
public struct Label: Sendable, Equatable {
    /// Counts up with every statement; 0 before it is kept.
    public var id: Int64 = 0
    public var study: StudyKey
    public var finding: String
    public var isPresent: Bool
    public var source: Source
    /// Who said it; may be empty.
    public var reader: String
    /// For example `radiologist`; may be empty.
    public var role: String
    /// Unix milliseconds UTC.
    public var at: Int64
    /// Whether it has the last word: a signed report, a review by a radiologist. See `Label.current`.
    public var isAuthoritative: Bool
    /// What it is part of, by which a repeat is known: a SOPInstanceUID, a FHIR resource; empty for a review or sheet.
    public var document: String
    /// Unix milliseconds UTC; nil: it stands.
    public var withdrawnAt: Int64?

    public enum Source: String, Sendable, CaseIterable {
        /// Agree or disagree with a flag at the gateway.
        case review
        /// A CSV file (`gantry labels import`).
        case sheet
        /// A DICOM key object selection.
        case keyObjects = "key-objects"
        /// A DICOM structured report.
        case report
        /// A FHIR DiagnosticReport or Observation (`gantry labels import`).
        case fhir
    }

    public init(
        study: StudyKey, finding: String, isPresent: Bool, source: Source, reader: String, role: String,
        at: Int64, isAuthoritative: Bool = true, document: String = "", withdrawnAt: Int64? = nil
    ) {
        self.study = study
        self.finding = finding
        self.isPresent = isPresent
        self.source = source
        self.reader = reader
        self.role = role
        self.at = at
        self.isAuthoritative = isAuthoritative
        self.document = document
        self.withdrawnAt = withdrawnAt
    }
}
