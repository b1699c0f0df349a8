// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Statistics

/// Whether a new version may replace the live one, from what both say about the site's held-out studies.
public struct GuardJudgement: Sendable, Equatable {
    public enum Decision: String, Sendable { case live, refused, waiting }

    /// One held-out study: both versions' probabilities and the label, for one finding.
    public struct Case: Sendable, Equatable {
        public var finding: String
        public var present: Bool
        public var candidate: Double
        public var live: Double

        public init(finding: String, present: Bool, candidate: Double, live: Double) {
            self.finding = finding
            self.present = present
            self.candidate = candidate
            self.live = live
        }
    }

    public let decision: Decision
    /// Labels that the judgement rests on.
    public let labels: Int
    /// Mean AUC over the findings that have enough labels of each class; nil when no finding has.
    public let candidateAUC: Double?
    public let liveAUC: Double?

    /// A finding counts when it has `rule.minimumLabelsPerClass` labels of each class; with no such finding the
    /// version waits. It is refused when its mean AUC is more than `rule.margin` below the live one's, or when it
    /// gives a probability that is not a number.
    public init(cases: [Case], rule: GuardRule) {
        labels = cases.count
        var candidates: [Double] = []
        var lives: [Double] = []
        for (_, cases) in Dictionary(grouping: cases, by: \.finding).sorted(by: { $0.key < $1.key }) {
            let positives = cases.count { $0.present }
            guard min(positives, cases.count - positives) >= max(rule.minimumLabelsPerClass, 1),
                let candidate = AreaUnderCurve(
                    cases.map { ScoredStudy(probability: $0.candidate, isPresent: $0.present) }),
                let live = AreaUnderCurve(cases.map { ScoredStudy(probability: $0.live, isPresent: $0.present) })
            else { continue }
            candidates.append(candidate.value)
            lives.append(live.value)
        }
        guard !candidates.isEmpty else {
            decision = .waiting
            candidateAUC = nil
            liveAUC = nil
            return
        }
        let candidate = candidates.reduce(0, +) / Double(candidates.count)
        let live = lives.reduce(0, +) / Double(lives.count)
        candidateAUC = candidate
        liveAUC = live
        let finite = cases.allSatisfy { $0.candidate.isFinite }
        // A hair of tolerance, so that a difference of exactly the margin is not refused for rounding.
        decision = finite && candidate >= live - rule.margin - 1e-9 ? .live : .refused
    }
}
