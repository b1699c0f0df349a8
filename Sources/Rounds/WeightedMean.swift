// SPDX-License-Identifier: GPL-3.0-or-later
import Tensors

/// base + Σ wᵢ δᵢ with weights that add up to 1: the server step of federated averaging (McMahan 2017, algorithm 1, written
/// with differences to the base, which is the same because the weights add up to 1). The weights are the paper's shares of
/// all examples, each bounded by `ContributionWeights`.
///
/// Summed in `Double` and rounded to `Float` once per value: with up to 2²⁹ contributions of 24-bit values the sum has
/// no error that a `Float` could show.
public struct WeightedMean: Aggregator {
    public let name = "weighted-mean"

    public init() {}

    public func combine(base: [Float], contributions: [WeightedDelta], piece: TensorPiece) throws -> [Float] {
        var sum = [Double](unsafeUninitializedCapacity: base.count) { buffer, count in
            for index in base.indices { buffer[index] = Double(base[index]) }
            count = base.count
        }
        for contribution in contributions {
            guard let delta = try contribution.values(piece) else { continue }
            let weight = contribution.weight
            sum.withUnsafeMutableBufferPointer { sum in
                delta.withUnsafeBufferPointer { delta in
                    for index in sum.indices { sum[index] += weight * Double(delta[index]) }
                }
            }
        }
        return sum.map { Float($0) }
    }
}
