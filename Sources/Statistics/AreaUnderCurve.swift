// SPDX-License-Identifier: GPL-3.0-or-later

/// Area under the ROC curve: the chance that a positive study scores higher than a negative one, ties counted half
/// (Mann–Whitney U; Hanley and McNeil, Radiology 1982;143:29).
public struct AreaUnderCurve: Sendable, Equatable {
    /// 0…1
    public let value: Double
    public let positives: Int
    public let negatives: Int

    /// nil when one class is missing.
    public init?(_ studies: [ScoredStudy]) {
        let sorted = studies.map { (probability: $0.probability.isNaN ? -.infinity : $0.probability, $0.isPresent) }
            .sorted { $0.probability < $1.probability }
        positives = sorted.count { $0.1 }
        negatives = sorted.count - positives
        guard positives > 0, negatives > 0 else { return nil }
        var wins = 0.0
        var negativesBelow = 0
        var start = 0
        while start < sorted.count {
            var end = start
            var tiedPositives = 0
            while end < sorted.count, sorted[end].probability == sorted[start].probability {
                if sorted[end].1 { tiedPositives += 1 }
                end += 1
            }
            let tiedNegatives = end - start - tiedPositives
            wins += Double(tiedPositives) * (Double(negativesBelow) + Double(tiedNegatives) / 2)
            negativesBelow += tiedNegatives
            start = end
        }
        value = wins / (Double(positives) * Double(negatives))
    }

    /// The 95 % score interval with Hanley and McNeil's variance: all areas θ that the observed one is not further from
    /// than 1.96 of θ's own standard errors (Newcombe, Stat Med 2006;25:559, method 5).
    ///
    /// The usual interval around the observed area has no width at an area of 1, which few studies reach easily.
    public var interval: ClosedRange<Double> { end(from: value, to: 0)...end(from: value, to: 1) }

    /// The θ between `inside` and `outside` at which the distance is just 1.96 standard errors, by bisection.
    private func end(from inside: Double, to outside: Double) -> Double {
        var (inside, outside) = (inside, outside)
        for _ in 0..<60 {
            let middle = (inside + outside) / 2
            let distance = value - middle
            if distance * distance <= Proportion.quantile * Proportion.quantile * variance(middle) {
                inside = middle
            } else {
                outside = middle
            }
        }
        return (inside + outside) / 2
    }

    private func variance(_ area: Double) -> Double {
        let other = Double(positives + negatives) / 2 - 1
        let spread = 1 + other * ((1 - area) / (2 - area) + area / (1 + area))
        return area * (1 - area) * spread / (Double(positives) * Double(negatives))
    }
}
