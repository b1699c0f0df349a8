// SPDX-License-Identifier: GPL-3.0-or-later

/// So many of so many, with the 95 % score interval of Wilson (J Am Stat Assoc 1927;22:209).
///
/// The score interval keeps its promise with few trials and at 0 and 100 %, where the textbook's normal interval has no
/// width (Newcombe, Stat Med 1998;17:857).
public struct Proportion: Sendable, Equatable {
    public let successes: Int
    /// At least 1.
    public let trials: Int

    /// The two-sided 95 % quantile of the normal distribution.
    static let quantile = 1.959963984540054

    /// nil without trials: nothing is known then.
    public init?(_ successes: Int, of trials: Int) {
        guard trials > 0, (0...trials).contains(successes) else { return nil }
        self.successes = successes
        self.trials = trials
    }

    public var value: Double { Double(successes) / Double(trials) }

    public var interval: ClosedRange<Double> {
        let z = Self.quantile
        let n = Double(trials)
        let centre = value + z * z / (2 * n)
        let reach = z * (value * (1 - value) / n + z * z / (4 * n * n)).squareRoot()
        let scale = 1 + z * z / n
        let low = successes == 0 ? 0 : max(0, (centre - reach) / scale)
        let high = successes == trials ? 1 : min(1, (centre + reach) / scale)
        return low...high
    }
}
