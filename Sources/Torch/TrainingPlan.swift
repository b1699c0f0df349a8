// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// How one training run goes.
public struct TrainingPlan: Sendable, Equatable {
    public var parameters: TrainingDefaults.Trainable
    public var optimiser: TrainingDefaults.Optimiser
    /// Of the first step; falls linearly to 0 over the run.
    public var learningRate: Double
    public var weightDecay: Double
    /// SGD only.
    public var momentum: Double
    public var epochs: Int
    /// Studies in a step.
    public var batchStudies: Int
    /// Order of the studies. The same seed, examples, parameters and one thread give the same delta to the bit on the same
    /// kind of machine.
    public var seed: UInt64
    /// Threads of libtorch while training.
    public var threads: Int

    /// What the package asks for.
    public init(_ defaults: TrainingDefaults, seed: UInt64, threads: Int = 1) {
        parameters = defaults.parameters
        optimiser = defaults.optimiser
        learningRate = defaults.learningRate
        weightDecay = defaults.weightDecay
        momentum = defaults.momentum
        epochs = defaults.epochs
        batchStudies = defaults.batchStudies
        self.seed = seed
        self.threads = threads
    }
}
