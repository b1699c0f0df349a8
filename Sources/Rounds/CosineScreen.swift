// SPDX-License-Identifier: GPL-3.0-or-later

/// Finds deltas that point away from the others, such as one with its sign turned round: by the cosine to the others' mean
/// direction, after Muñoz-González, Co and Lupu, “Byzantine-Robust Federated Machine Learning through Adaptive Model
/// Averaging”, 2019 (arXiv:1909.05125), section 3.1.
///
/// Each delta counts with its direction only, so that a long one does not turn the mean. The worst one is taken out first
/// and the rest judged again, since one that is turned round makes all others look worse. Sites with other patients point
/// elsewhere and are about at right angles (a cosine of 0), far above the bound.
public struct CosineScreen: Sendable, Equatable {
    /// −1…1
    public var leastCosine: Double

    public init(leastCosine: Double) { self.leastCosine = leastCosine }

    /// Of two, nobody can say which one points the wrong way.
    public static let fewest = 3

    /// The sites that are out of line.
    ///
    /// - Parameter products: δᵢ · δⱼ for all pairs of `sites`, in their order.
    public func judge(sites: [String], products: [[Double]]) -> [String: OutOfLine] {
        // A delta of zeros has no direction and cannot point the wrong way.
        var rest = sites.indices.filter { products[$0][$0] > 0 }
        let lengths = sites.indices.map { products[$0][$0].squareRoot() }
        var refused: [String: OutOfLine] = [:]
        while rest.count >= Self.fewest {
            func cosine(_ a: Int, _ b: Int) -> Double { products[a][b] / (lengths[a] * lengths[b]) }
            let found = rest.map { site -> (site: Int, cosine: Double) in
                let others = rest.filter { $0 != site }
                let along = others.reduce(0) { $0 + cosine(site, $1) }
                let square = others.reduce(0) { sum, one in others.reduce(sum) { $0 + cosine(one, $1) } }
                return (site, square > 1e-12 ? along / square.squareRoot() : 0)
            }
            guard let worst = found.min(by: { $0.cosine < $1.cosine }), worst.cosine < leastCosine else { break }
            refused[sites[worst.site]] = OutOfLine(
                screen: .cosine, tensor: nil, found: worst.cosine, bound: leastCosine)
            rest.removeAll { $0 == worst.site }
        }
        return refused
    }
}
