// SPDX-License-Identifier: GPL-3.0-or-later
import Statistics

/// An operating threshold chosen on a site's held-out labels, with what it did to them.
public struct Calibration: Sendable, Equatable {
    public let goal: CalibrationGoal
    public let curve: ROCCurve
    public let threshold: Double
    /// On the labels that chose the threshold.
    public let figures: OperatingFigures
    /// Each study judged by the threshold that the others choose; nil when the threshold was given.
    public let leftOut: OperatingFigures?

    /// For a sensitivity the highest threshold that reaches it, for a specificity the lowest one.
    ///
    /// - Parameter minimumPerClass: labels of each class without which nothing is chosen; at least 1 whatever is given.
    public init(
        _ studies: [ScoredStudy], goal: CalibrationGoal, minimumPerClass: Int
    ) throws(CalibrationRefusal) {
        self.goal = goal
        curve = ROCCurve(studies)
        guard min(curve.positives, curve.negatives) >= max(1, minimumPerClass) else {
            throw .tooFewLabels(
                positives: curve.positives, negatives: curve.negatives, minimumPerClass: max(1, minimumPerClass))
        }
        if let wanted = goal.onCurve {
            guard let threshold = curve.threshold(for: wanted) else { throw .outOfReach(goal) }
            self.threshold = threshold
            leftOut = curve.leaveOneOut(wanted)
        } else {
            threshold = goal.value
            leftOut = nil
        }
        figures = curve.figures(at: threshold)
    }

    /// What the threshold means, for people: sentences of up to 80 characters or so, on lines of their own.
    ///
    /// - Parameter finding: the finding's title.
    public func words(finding: String) -> [String] {
        let subject = finding.prefix(1).lowercased() + finding.dropFirst()
        var lines = [
            "Of 100 studies with \(subject) it flags \(Self.of100(figures.sensitivity)),",
            "of 100 studies without it \(Self.of100(figures.falselyFlagged)).",
        ]
        lines.append(
            "In brackets: 95 % intervals (Wilson), from \(figures.positives) studies with it and "
                + "\(figures.negatives) without.")
        if let leftOut {
            lines.append("The same labels chose the threshold, so these figures flatter a little. With each")
            lines.append(
                "study judged by the others' threshold: \(Self.of100(leftOut.sensitivity)) and "
                    + "\(Self.of100(leftOut.falselyFlagged)).")
        }
        return lines
    }

    /// “96 (89–99)”
    private static func of100(_ proportion: Proportion?) -> String {
        guard let proportion else { return "an unknown number" }
        func whole(_ share: Double) -> Int { Int((100 * share).rounded()) }
        let interval = proportion.interval
        return "\(whole(proportion.value)) (\(whole(interval.lowerBound))–\(whole(interval.upperBound)))"
    }
}
