// SPDX-License-Identifier: GPL-3.0-or-later
import Statistics

/// What a judgement rests on beside the AUC: shares from 0 to 1, means over findings; nil where nothing is known.
public struct GuardFigures: Sendable, Equatable {
    /// At the operating threshold, over the findings with enough labels of each class.
    public var candidateSensitivity: Double?
    public var liveSensitivity: Double?
    public var candidateSpecificity: Double?
    public var liveSpecificity: Double?
    /// Share of the newest studies that is flagged.
    public var candidateFlagged: Double?
    public var liveFlagged: Double?
    /// How many newest studies these are; 0: too few to judge by.
    public var recentStudies = 0

    public init() {}

    init(_ findings: [FindingJudgement]) {
        candidateSensitivity = Self.mean(findings.map { $0.sensitivity?.second })
        liveSensitivity = Self.mean(findings.map { $0.sensitivity?.first })
        candidateSpecificity = Self.mean(findings.map { $0.specificity?.second })
        liveSpecificity = Self.mean(findings.map { $0.specificity?.first })
        candidateFlagged = Self.mean(findings.map { $0.flagged?.second })
        liveFlagged = Self.mean(findings.map { $0.flagged?.first })
        recentStudies = findings.compactMap { $0.flagged?.studies }.max() ?? 0
    }

    /// For the audit log.
    public var named: [(name: String, value: Double?)] {
        [
            ("candidate_sensitivity", candidateSensitivity), ("live_sensitivity", liveSensitivity),
            ("candidate_specificity", candidateSpecificity), ("live_specificity", liveSpecificity),
            ("candidate_flagged", candidateFlagged), ("live_flagged", liveFlagged),
        ]
    }

    /// Of those that are known.
    static func mean(_ values: [Double?]) -> Double? {
        let known = values.compactMap { $0 }
        return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
    }
}
