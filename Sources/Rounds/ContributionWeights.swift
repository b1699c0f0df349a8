// SPDX-License-Identifier: GPL-3.0-or-later

/// How much each contribution counts in a round: in proportion to its examples, and no site more than a share of the whole.
public enum ContributionWeights {
    /// Weights that add up to 1, by site.
    ///
    /// Each is min(largest share, λ · examples), with the one λ for which they add up to 1: what is cut from a site with
    /// many examples goes to the others in proportion to theirs. With so few sites that the shares cannot add up to 1 (one
    /// site, or two and a share below a half) all count the same.
    ///
    /// - Parameters:
    ///   - examples: by site, each at least 1.
    ///   - largestShare: above 0, at most 1.
    public static func shares(_ examples: [String: Int], largestShare: Double) -> [String: Double] {
        let cap = max(largestShare, 1 / Double(max(1, examples.count)))
        // From the largest down: whoever is above the share even after the cuts before is cut too.
        let ordered = examples.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        var shares: [String: Double] = [:]
        var left = 1.0
        var rest = ordered.reduce(0.0) { $0 + Double($1.value) }
        for (site, count) in ordered {
            guard rest > 0 else {
                shares[site] = 0
                continue
            }
            let share = min(cap, left * Double(count) / rest)
            shares[site] = share
            // Below the cap λ is found, and stays the same for all that follow.
            left -= share
            rest -= Double(count)
        }
        return shares
    }
}
