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
