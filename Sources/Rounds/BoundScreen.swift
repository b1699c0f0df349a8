// SPDX-License-Identifier: GPL-3.0-or-later

/// Judges one delta by itself, when it has come: by what the round's training can do and by what the base version is.
///
/// Per tensor, since a bias of −30 hides in the norm of a large model.
public struct BoundScreen: Sendable, Equatable {
    /// How many times as far as the round's steps a value may move.
    public var largestStep: Double
    /// How many times as large as itself a tensor's change may be.
    public var largestChange: Double

    public init(largestStep: Double, largestChange: Double) {
        self.largestStep = largestStep
        self.largestChange = largestChange
    }

    /// Nil when the delta is in line; else the tensor that is furthest out.
    public func judge(_ measure: UpdateMeasure, steps: StepBound) -> OutOfLine? {
        let farthest = largestStep * steps.farthest(baseNorm: measure.baseNorm)
        let found = measure.tensors.flatMap { tensor in
            [
                OutOfLine(screen: .step, tensor: tensor.name, found: tensor.farthest, bound: farthest),
                OutOfLine(
                    screen: .change, tensor: tensor.name, found: tensor.norm,
                    bound: largestChange * measure.reference(tensor)),
            ]
        }
        return found.filter { $0.found > $0.bound }.max { $0.found * $1.bound < $1.found * $0.bound }
    }
}
