// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Statistics

/// Whether a new version may replace the live one, from what both say about the site's own studies: what a radiologist would
/// notice, which the area under the ROC curve alone does not see.
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

    /// One of the site's newest studies, with or without a label: both versions' probabilities, for one finding.
    public struct Recent: Sendable, Equatable {
        public var finding: String
        public var candidate: Double
        public var live: Double

        public init(finding: String, candidate: Double, live: Double) {
            self.finding = finding
            self.candidate = candidate
            self.live = live
        }
    }

    /// The operating thresholds that each version's flags are raised by.
    public struct Thresholds: Sendable, Equatable {
        public var candidate: Double
        public var live: Double

        public init(candidate: Double, live: Double) {
            self.candidate = candidate
            self.live = live
        }
    }

    /// One reason against a version.
    public struct Fault: Sendable, Equatable {
        public enum Reason: String, Sendable {
            case areaUnderCurve = "auc"
            case sensitivity, specificity
            /// It says the same about every study.
            case constant
            /// It flags far fewer or far more of the newest studies.
            case flaggedShare = "flagged-share"
            case notFinite = "not-finite"
        }

        public var reason: Reason
        /// nil: about all findings together.
        public var finding: String?
        /// With the figures.
        public var text: String
    }

    public let decision: Decision
    /// Labels that the judgement rests on.
    public let labels: Int
    /// Mean AUC over the findings that have enough labels of each class; nil when no finding has.
    public let candidateAUC: Double?
    public let liveAUC: Double?
    /// Empty unless the version is refused.
    public let faults: [Fault]
    /// Beside the AUC, means over findings.
    public let figures: GuardFigures

    /// Fewer newest studies than this show nothing.
    public static let fewestRecent = 10
    /// The share of the flagged studies, or of the others, that changes by more than this factor is not believed.
    static let largestFactor = 3
    /// Probabilities that differ by less are one.
    static let smallestSpread = 1e-6
    /// Sensitivity + specificity − 1 (Youden, Cancer 1950;3:32), below which a version does not tell the classes apart at its
    /// threshold, so that there is no sensitivity and no specificity to lose.
    static let informativeIndex = 0.2

    /// A finding counts when it has `rule.minimumLabelsPerClass` labels of each class; with no such finding a version waits
    /// that nothing else is against. It is refused when
    /// - its mean AUC is more than `rule.margin` below the live one's,
    /// - for one finding its sensitivity or specificity is more than `rule.tolerance` below the live one's, and the studies
    ///   on which the two disagree show a fall (95 % interval),
    /// - it says the same about every study while the live one does not,
    /// - it flags a third or three times as many of the newest studies, or leaves a third as many unflagged, shown in the
    ///   same way, and the labels do not show that it is right: an untrained version that flagged nearly nothing is no
    ///   measure,
    /// - it gives a probability that is not a number.
    public init(cases: [Case], recent: [Recent] = [], thresholds: [String: Thresholds] = [:], rule: GuardRule) {
        labels = cases.count
        var faults: [Fault] = []
        var judged: [FindingJudgement] = []
        for finding in Set(cases.map(\.finding) + recent.map(\.finding)).sorted() {
            let judgement = FindingJudgement(
                finding, cases.filter { $0.finding == finding }, recent.filter { $0.finding == finding },
                thresholds[finding], rule)
            faults += judgement.faults
            judged.append(judgement)
        }
        figures = GuardFigures(judged)
        candidateAUC = GuardFigures.mean(judged.map { $0.area?.candidate })
        liveAUC = GuardFigures.mean(judged.map { $0.area?.live })
        // A hair of tolerance, so that a difference of exactly the margin is not refused for rounding.
        if let candidateAUC, let liveAUC, candidateAUC < liveAUC - rule.margin - 1e-9 {
            faults.append(
                Fault(
                    reason: .areaUnderCurve, finding: nil,
                    text: "AUC \(liveAUC.short) → \(candidateAUC.short), margin \(rule.margin)"))
        }
        self.faults = faults
        decision = !faults.isEmpty ? .refused : candidateAUC == nil ? .waiting : .live
    }
}

extension Double {
    /// Three digits, for a reason.
    var short: String { "\((self * 1000).rounded() / 1000)" }
}
