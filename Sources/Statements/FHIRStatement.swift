// SPDX-License-Identifier: GPL-3.0-or-later

/// What a FHIR DiagnosticReport or Observation says about a study.
public struct FHIRStatement: Sendable, Equatable {
    /// Names the resource, the same whenever it is imported: `DiagnosticReport/r1`.
    public var resource: String
    /// Where it was read.
    public var file: String
    /// StudyInstanceUIDs; empty: known by its accession number.
    public var studies: [String]
    /// AccessionNumbers; used where no UID is given.
    public var accessionNumbers: [String]
    /// By finding: whether it is there. Empty when withdrawn.
    public var findings: [String: Bool]
    /// The resource was entered in error, or cancelled: what it said before does not count.
    public var isWithdrawn: Bool
    /// Who said it; may be empty.
    public var reader: String
    /// Unix milliseconds UTC; nil when it does not say.
    public var at: Int64?
}
