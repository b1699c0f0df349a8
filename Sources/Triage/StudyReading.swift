// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// What one model version has read in one study so far.
public struct StudyReading: Sendable, Equatable {
    public let manifest: Manifest
    private var evidence: [FindingEvidence]

    public init(manifest: Manifest) {
        self.manifest = manifest
        evidence = manifest.findings.map { _ in FindingEvidence(rule: manifest.sliceRule) }
    }

    /// Adds the frames of one instance.
    ///
    /// - Parameter probabilities: frame by frame, each with one value for each finding of the manifest.
    public mutating func add(sopInstanceUID: String, gatewayInstance: String, probabilities: [Float]) {
        guard !evidence.isEmpty else { return }
        for (index, probability) in probabilities.enumerated() {
            evidence[index % evidence.count].add(
                FindingEvidence.Slice(
                    sopInstanceUID: sopInstanceUID, gatewayInstance: gatewayInstance, frame: index / evidence.count,
                    probability: Double(probability)))
        }
    }

    /// In the manifest's order.
    public var results: [FindingResult] {
        zip(manifest.findings, evidence).map { FindingResult(finding: $0, evidence: $1) }
    }

    /// The names of the findings that are at or above their thresholds.
    public var positiveFindings: Set<String> { Set(results.filter(\.positive).map(\.finding)) }

    public var slices: Int { evidence.first?.count ?? 0 }
}
