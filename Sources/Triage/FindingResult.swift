// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// A finding's probability for a whole study against its operating threshold, with the slices that say so.
public struct FindingResult: Codable, Sendable, Equatable {
    public var finding: String
    public var title: String
    public var code: Finding.Code?
    public var probability: Double
    public var threshold: Double
    /// `probability` ≥ `threshold`
    public var positive: Bool
    public var urgency: Urgency
    public var evidence: [Evidence]
    /// Who chose `threshold`.
    public var operatingPoint: ThresholdOrigin?
    /// What the flag is worth at this site; nil without labels of held-out studies.
    public var validation: SiteValidation?
    /// What people said about this finding of the study, oldest first; nil when nobody did. At most `mostStatements`.
    public var statements: [Statement]?

    enum CodingKeys: String, CodingKey {
        case finding, title, code, probability, threshold, positive, urgency, evidence, validation, statements
        case operatingPoint = "operating_point"
    }

    /// Older statements are left out, except the one that counts.
    public static let mostStatements = 20

    /// What somebody said: the finding is there or not.
    public struct Statement: Codable, Sendable, Equatable {
        public var present: Bool
        /// `review`, `sheet`, `key-objects`, `report` or `fhir`.
        public var source: String
        public var reader: String
        public var role: String
        /// Unix milliseconds UTC.
        public var at: Int64
        public var withdrawn: Bool
        /// Whether it is the one that counts.
        public var current: Bool

        enum CodingKeys: String, CodingKey {
            case present, source, reader, role, withdrawn, current
            case at = "at_ms"
        }

        public init(
            present: Bool, source: String, reader: String, role: String, at: Int64, withdrawn: Bool, current: Bool
        ) {
            self.present = present
            self.source = source
            self.reader = reader
            self.role = role
            self.at = at
            self.withdrawn = withdrawn
            self.current = current
        }
    }

    public struct Evidence: Codable, Sendable, Equatable {
        public var gatewayInstance: String
        public var sopInstance: String
        public var frame: Int
        public var probability: Double

        enum CodingKeys: String, CodingKey {
            case frame, probability
            case gatewayInstance = "gateway_instance"
            case sopInstance = "sop_instance"
        }
    }

    public init(finding: Finding, evidence: FindingEvidence) {
        self.finding = finding.name
        title = finding.title
        code = finding.code
        probability = evidence.probability
        threshold = finding.threshold
        positive = evidence.count > 0 && evidence.probability >= finding.threshold
        urgency = finding.urgency
        self.evidence = evidence.top.map {
            Evidence(
                gatewayInstance: $0.gatewayInstance, sopInstance: $0.sopInstanceUID, frame: $0.frame,
                probability: $0.probability)
        }
    }
}
