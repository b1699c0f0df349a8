// SPDX-License-Identifier: GPL-3.0-or-later

/// Area under the ROC curve: the chance that a positive study scores higher than a negative one, ties counted half
/// (Mann–Whitney U, Hanley and McNeil 1982).
///
/// A probability that is no number counts as the lowest.
///
/// - Returns: nil when one class is missing.
public func areaUnderCurve(_ scored: [(probability: Double, present: Bool)]) -> Double? {
    let sorted = scored.map { (probability: $0.probability.isNaN ? -.infinity : $0.probability, present: $0.present) }
        .sorted { $0.probability < $1.probability }
    let positives = sorted.count { $0.present }
    let negatives = sorted.count - positives
    guard positives > 0, negatives > 0 else { return nil }
    var wins = 0.0
    var negativesBelow = 0
    var start = 0
    while start < sorted.count {
        var end = start
        var tiedPositives = 0
        while end < sorted.count, sorted[end].probability == sorted[start].probability {
            if sorted[end].present { tiedPositives += 1 }
            end += 1
        }
        let tiedNegatives = end - start - tiedPositives
        wins += Double(tiedPositives) * (Double(negativesBelow) + Double(tiedNegatives) / 2)
        negativesBelow += tiedNegatives
        start = end
    }
    return wins / (Double(positives) * Double(negatives))
}
