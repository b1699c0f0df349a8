// SPDX-License-Identifier: GPL-3.0-or-later
import Tensors

/// A committed delta as an aggregator sees it: a weight, and values that are read when they are needed.
public struct WeightedDelta: Sendable {
    public let site: String
    /// Labelled studies the delta was trained on.
    public let examples: Int
    /// Its part in the mean: of all contributions together 1. See `ContributionWeights`.
    public let weight: Double
    let source: any TensorSource

    public init(site: String, examples: Int, weight: Double, source: any TensorSource) {
        self.site = site
        self.examples = examples
        self.weight = weight
        self.source = source
    }

    /// The delta's values; nil when the site did not train the tensor, which is a difference of zero.
    public func values(_ piece: TensorPiece) throws -> [Float]? {
        guard source.shape(of: piece.name) != nil else { return nil }
        return try source.values(of: piece.name, in: piece.range)
    }
}
