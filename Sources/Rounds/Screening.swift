// SPDX-License-Identifier: GPL-3.0-or-later

/// The screens that a round's deltas pass together before they are averaged.
public struct Screening: Sendable, Equatable {
    public var norm: NormScreen
    public var cosine: CosineScreen
    /// Values in memory at a time, for all deltas together.
    public var valuesInMemory = 1 << 22

    public init(norm: NormScreen, cosine: CosineScreen) {
        self.norm = norm
        self.cosine = cosine
    }

    /// The sites whose deltas do not count, and why. Norms come first: a delta that is far too long has been found out, and
    /// whoever is left is judged anew, until nobody is out of line.
    ///
    /// Reads each delta twice, piece by piece; takes values × sites² / 2 multiplications.
    ///
    /// - Throws: what reading throws.
    public func run(base: some TensorSource, contributions: [WeightedDelta]) throws -> [String: OutOfLine] {
        guard contributions.count >= min(NormScreen.fewest, CosineScreen.fewest) else { return [:] }
        var refused: [String: OutOfLine] = [:]
        var members = try contributions.map { delta in
            NormScreen.Member(
                site: delta.site, examples: delta.examples, measure: try UpdateMeasure(of: delta.source, base: base))
        }
        while true {
            let out = norm.judge(members)
            if out.isEmpty { break }
            refused.merge(out) { first, _ in first }
            members.removeAll { out[$0.site] != nil }
        }
        let rest = contributions.filter { refused[$0.site] == nil }
        guard rest.count >= CosineScreen.fewest else { return refused }
        return refused.merging(
            cosine.judge(sites: rest.map(\.site), products: try products(base: base, rest))
        ) { first, _ in first }
    }

    /// δᵢ · δⱼ for all pairs.
    private func products(base: some TensorSource, _ contributions: [WeightedDelta]) throws -> [[Double]] {
        let count = contributions.count
        var products = [[Double]](repeating: [Double](repeating: 0, count: count), count: count)
        let step = max(1, valuesInMemory / count)
        for name in base.names {
            let values = (base.shape(of: name) ?? []).reduce(1, *)
            for start in stride(from: 0, to: values, by: step) {
                let piece = TensorPiece(name: name, range: start..<min(start + step, values))
                let pieces = try contributions.map { try $0.values(piece) }
                for (i, left) in pieces.enumerated() {
                    guard let left else { continue }
                    for j in i..<count {
                        guard let right = pieces[j] else { continue }
                        products[i][j] += left.dot(right)
                    }
                }
            }
        }
        for i in 0..<count { for j in 0..<i { products[i][j] = products[j][i] } }
        return products
    }
}
