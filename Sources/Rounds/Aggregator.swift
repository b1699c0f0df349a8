// SPDX-License-Identifier: GPL-3.0-or-later
import Tensors

/// Arithmetic that turns a base and the deltas of a round into new parameters.
///
/// An aggregator never sees a whole model: it is asked for one piece of one tensor at a time and reads the same piece
/// of each delta as it needs it, so the hub's memory depends neither on the model nor on the number of sites.
public protocol Aggregator: Sendable {
    /// For logs and the audit log.
    var name: String { get }

    /// New parameters for one piece of one tensor.
    ///
    /// - Parameters:
    ///   - base: the base version's values.
    ///   - contributions: in the order of site names, so that the result does not depend on the order of arrival.
    ///   - piece: which values.
    /// - Returns: as many values as `base` has.
    /// - Throws: what reading a delta throws.
    func combine(base: [Float], contributions: [WeightedDelta], piece: TensorPiece) throws -> [Float]
}
