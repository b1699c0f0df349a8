// SPDX-License-Identifier: GPL-3.0-or-later
import Tensors

/// What a training run made.
public struct TrainingOutcome: Sendable, Equatable {
    /// Trained parameters minus the ones it started from; only the tensors that were trained.
    public var delta: TensorMap
    /// Mean loss over the studies of the first and of the last epoch, each measured before the step it led to.
    public var lossFirstEpoch: Double
    public var lossLastEpoch: Double
    /// Studies that taught something: the weight of the delta.
    public var studies: Int
    public var steps: Int
    public var seconds: Double
}
