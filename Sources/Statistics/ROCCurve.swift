// SPDX-License-Identifier: GPL-3.0-or-later

/// What each possible threshold would have done to studies whose truth is known.
///
/// A study is flagged when its probability is at or above the threshold, so only the observed probabilities matter as
/// thresholds; equal ones are one point.
public struct ROCCurve: Sendable, Equatable {
    /// One observed probability as threshold.
    public struct Point: Sendable, Equatable {
        public var threshold: Double
        /// Positive studies at or above it.
        public var truePositives: Int
        /// Negative studies at or above it.
        public var falsePositives: Int
    }

    public let positives: Int
    public let negatives: Int
    /// The highest threshold first.
    public let points: [Point]

    public init(_ studies: [ScoredStudy]) {
        positives = studies.count { $0.isPresent }
        negatives = studies.count - positives
        var points: [Point] = []
        // What is no number is never at or above a threshold.
        for study in studies.filter({ !$0.probability.isNaN }).sorted(by: { $0.probability > $1.probability }) {
            if points.last?.threshold != study.probability {
                let last = points.last ?? Point(threshold: .infinity, truePositives: 0, falsePositives: 0)
                points.append(
                    Point(
                        threshold: study.probability, truePositives: last.truePositives,
                        falsePositives: last.falsePositives))
            }
            if study.isPresent {
                points[points.count - 1].truePositives += 1
            } else {
                points[points.count - 1].falsePositives += 1
            }
        }
        self.points = points
    }

    public func figures(at threshold: Double) -> OperatingFigures {
        let point = points.last { $0.threshold >= threshold }
        return OperatingFigures(
            positives: positives, negatives: negatives, truePositives: point?.truePositives ?? 0,
            trueNegatives: negatives - (point?.falsePositives ?? 0))
    }

    /// The threshold that reaches a goal: of several the one that costs least of the other figure. Ties are kept
    /// together: a threshold never divides studies of the same probability.
    ///
    /// - Returns: nil when no threshold reaches it, or when the class that the goal is about is missing.
    public func threshold(for goal: Goal) -> Double? { Self.threshold(for: goal, points, positives, negatives) }

    /// What can be asked of a threshold.
    public enum Goal: Sendable, Equatable {
        /// At least this share of the positive studies is flagged: the highest threshold that does it.
        case sensitivity(Double)
        /// At least this share of the negative studies is not flagged: the lowest threshold that does it.
        case specificity(Double)
    }

    /// How a goal would have turned out on studies that did not take part in choosing: each study in turn is judged by
    /// the threshold that the others give (leave-one-out). Where the others give none, the study counts as missed.
    public func leaveOneOut(_ goal: Goal) -> OperatingFigures {
        var figures = OperatingFigures(
            positives: positives, negatives: negatives, truePositives: 0, trueNegatives: 0)
        var before = Point(threshold: .infinity, truePositives: 0, falsePositives: 0)
        for (index, point) in points.enumerated() {
            let tied = (point.truePositives - before.truePositives, point.falsePositives - before.falsePositives)
            before = point
            if tied.0 > 0, let threshold = threshold(for: goal, without: index, isPresent: true),
                point.threshold >= threshold
            {
                figures.truePositives += tied.0
            }
            if tied.1 > 0, let threshold = threshold(for: goal, without: index, isPresent: false),
                point.threshold < threshold
            {
                figures.trueNegatives += tied.1
            }
        }
        return figures
    }

    private func threshold(for goal: Goal, without index: Int, isPresent: Bool) -> Double? {
        var others = points
        for later in index..<others.count {
            if isPresent { others[later].truePositives -= 1 } else { others[later].falsePositives -= 1 }
        }
        let before = index > 0 ? others[index - 1] : Point(threshold: .infinity, truePositives: 0, falsePositives: 0)
        let isEmpty =
            others[index].truePositives == before.truePositives && others[index].falsePositives == before.falsePositives
        if isEmpty { others.remove(at: index) }
        return Self.threshold(
            for: goal, others, positives - (isPresent ? 1 : 0), negatives - (isPresent ? 0 : 1))
    }

    private static func threshold(for goal: Goal, _ points: [Point], _ positives: Int, _ negatives: Int) -> Double? {
        switch goal {
        case .sensitivity(let least):
            guard positives > 0 else { return nil }
            return points.first { reaches($0.truePositives, of: positives, least) }?.threshold
        case .specificity(let least):
            guard negatives > 0 else { return nil }
            if let lowest = points.last(where: { reaches(negatives - $0.falsePositives, of: negatives, least) }) {
                return lowest.threshold
            }
            // Every observed probability flags too many: just above the highest, if a probability can be there.
            guard let highest = points.first?.threshold, highest < 1 else { return nil }
            return highest.nextUp
        }
    }

    /// A hair of tolerance, so that 0.95 of 20 is 19 whatever 0.95 is in binary.
    private static func reaches(_ count: Int, of all: Int, _ share: Double) -> Bool {
        Double(count) >= share * Double(all) - 1e-9
    }
}
