// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Statistics

/// `GuardJudgement` for one finding.
struct FindingJudgement {
    private(set) var faults: [GuardJudgement.Fault] = []
    /// nil: too few labels.
    private(set) var area: (candidate: Double, live: Double)?
    /// First the live version, second the new one; nil: too few labels, or no threshold.
    private(set) var sensitivity: PairedDifference?
    private(set) var specificity: PairedDifference?
    /// nil: too few studies, or no threshold.
    private(set) var flagged: PairedDifference?

    private let finding: String
    private let rule: GuardRule

    init(
        _ finding: String, _ cases: [GuardJudgement.Case], _ recent: [GuardJudgement.Recent],
        _ thresholds: GuardJudgement.Thresholds?, _ rule: GuardRule
    ) {
        self.finding = finding
        self.rule = rule
        let outputs = recent.map { ($0.candidate, $0.live) } + cases.map { ($0.candidate, $0.live) }
        guard outputs.allSatisfy({ $0.0.isFinite }) else {
            refuse(.notFinite, "it gives a probability that is not a number")
            measureArea(cases)
            return
        }
        if outputs.count >= GuardJudgement.fewestRecent, Self.isConstant(outputs.map(\.0)),
            !Self.isConstant(outputs.map(\.1))
        {
            refuse(.constant, "it says \(outputs[0].0) about all of \(outputs.count) studies")
        }
        measureArea(cases)
        guard let thresholds else { return }
        if area != nil { judgeOperatingPoint(cases, thresholds) }
        if recent.count >= GuardJudgement.fewestRecent { judgeFlaggedShare(recent, thresholds) }
    }

    /// Sensitivity + specificity − 1 of both versions.
    private var index: (candidate: Double, live: Double)? {
        guard let sensitivity, let specificity else { return nil }
        return (sensitivity.second + specificity.second - 1, sensitivity.first + specificity.first - 1)
    }

    private mutating func measureArea(_ cases: [GuardJudgement.Case]) {
        let positives = cases.count { $0.present }
        guard min(positives, cases.count - positives) >= max(rule.minimumLabelsPerClass, 1),
            let candidate = AreaUnderCurve(
                cases.map { ScoredStudy(probability: $0.candidate, isPresent: $0.present) }),
            let live = AreaUnderCurve(cases.map { ScoredStudy(probability: $0.live, isPresent: $0.present) })
        else { return }
        area = (candidate.value, live.value)
    }

    private mutating func judgeOperatingPoint(
        _ cases: [GuardJudgement.Case], _ thresholds: GuardJudgement.Thresholds
    ) {
        func compare(_ present: Bool) -> PairedDifference? {
            PairedDifference(
                cases.filter { $0.present == present }.map {
                    (($0.live >= thresholds.live) == present, ($0.candidate >= thresholds.candidate) == present)
                })
        }
        sensitivity = compare(true)
        specificity = compare(false)
        guard let index, index.live >= GuardJudgement.informativeIndex else { return }
        for (reason, difference) in [
            (GuardJudgement.Fault.Reason.sensitivity, sensitivity), (.specificity, specificity),
        ] {
            guard let difference, difference.value < -rule.tolerance - 1e-9, difference.interval.upperBound < 0
            else { continue }
            refuse(
                reason,
                "\(reason.rawValue) \(difference.first.short) → \(difference.second.short) on \(difference.studies) "
                    + "labels, tolerance \(rule.tolerance)")
        }
    }

    private mutating func judgeFlaggedShare(
        _ recent: [GuardJudgement.Recent], _ thresholds: GuardJudgement.Thresholds
    ) {
        let pairs = recent.map { ($0.live >= thresholds.live, $0.candidate >= thresholds.candidate) }
        guard let share = PairedDifference(pairs) else { return }
        flagged = share
        let (before, after) = (share.both + share.firstOnly, share.both + share.secondOnly)
        // A live version that flags nothing or everything is no measure.
        guard before > 0, before < share.studies, !share.interval.contains(0) else { return }
        let factor = GuardJudgement.largestFactor
        let isImplausible =
            after * factor < before || before * factor < after
            || (share.studies - after) * factor < share.studies - before
        if let index, index.candidate > index.live + rule.tolerance { return }
        if isImplausible {
            refuse(
                .flaggedShare,
                "\(before) → \(after) of the newest \(share.studies) studies flagged")
        }
    }

    private mutating func refuse(_ reason: GuardJudgement.Fault.Reason, _ text: String) {
        faults.append(GuardJudgement.Fault(reason: reason, finding: finding, text: text))
    }

    private static func isConstant(_ values: [Double]) -> Bool {
        (values.max() ?? 0) - (values.min() ?? 0) < GuardJudgement.smallestSpread
    }
}
