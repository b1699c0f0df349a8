// SPDX-License-Identifier: GPL-3.0-or-later

/// How two shares differ that were measured on the same studies, with the 95 % interval of Newcombe (Stat Med 1998;17:2635,
/// method 10: the score intervals of both shares, squared and added, with their correlation).
///
/// Keeps its promise with few studies and at 0 and 100 %, and uses what McNemar's test uses: the studies on which the two
/// disagree.
public struct PairedDifference: Sendable, Equatable {
    public let both: Int
    public let firstOnly: Int
    public let secondOnly: Int
    public let neither: Int

    /// nil without studies.
    ///
    /// - Parameter pairs: what the first and the second say about each study.
    public init?(_ pairs: [(first: Bool, second: Bool)]) {
        guard !pairs.isEmpty else { return nil }
        both = pairs.count { $0.first && $0.second }
        firstOnly = pairs.count { $0.first && !$0.second }
        secondOnly = pairs.count { !$0.first && $0.second }
        neither = pairs.count { !$0.first && !$0.second }
    }

    public var studies: Int { both + firstOnly + secondOnly + neither }
    public var first: Double { Double(both + firstOnly) / Double(studies) }
    public var second: Double { Double(both + secondOnly) / Double(studies) }

    /// The second share minus the first.
    public var value: Double { Double(secondOnly - firstOnly) / Double(studies) }

    public var interval: ClosedRange<Double> {
        guard let one = Proportion(both + firstOnly, of: studies), let two = Proportion(both + secondOnly, of: studies)
        else { return -1...1 }
        func reach(_ a: Double, _ b: Double) -> Double {
            max(0, a * a - 2 * correlation * a * b + b * b).squareRoot()
        }
        let low = value - reach(two.value - two.interval.lowerBound, one.interval.upperBound - one.value)
        let high = value + reach(two.interval.upperBound - two.value, one.value - one.interval.lowerBound)
        return max(-1, low)...min(1, high)
    }

    /// Between the two, with Newcombe's correction for continuity where it is positive.
    private var correlation: Double {
        let margins = [both + firstOnly, secondOnly + neither, both + secondOnly, firstOnly + neither].map(Double.init)
        let product = margins.reduce(1, *)
        guard product > 0 else { return 0 }
        let found = Double(both) * Double(neither) - Double(firstOnly) * Double(secondOnly)
        let corrected = found > 0 ? max(0, found - Double(studies) / 2) : found
        return corrected / product.squareRoot()
    }
}
