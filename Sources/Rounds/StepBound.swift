// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage

/// How far a site's training can get in a round, from the terms that the hub itself set: an absolute measure for rounds
/// in which there are no others to compare with.
///
/// A site takes epochs × ⌈examples / batch⌉ steps with a learning rate that falls linearly to 0, in sum rate × (steps + 1)
/// / 2. One step of Adam moves a value by about the rate (Kingma and Ba, “Adam: A Method for Stochastic Optimization”,
/// ICLR 2015, section 2.1). One of SGD with momentum m moves all values together by at most rate × gradient / (1 − m), and
/// the gradient's norm is clipped at `longestGradient` by every site, to which weight decay adds its part of the base.
public struct StepBound: Sendable, Equatable {
    /// The gradient clipping of the sites' trainer.
    public static let longestGradient = 5.0
    /// A site is believed to have so many times the examples of the cohort's median at most: who claims a million must not
    /// get a million steps.
    public static let mostMedians = 10

    /// Σ of the learning rates of all steps.
    public let path: Double
    private let config: RoundConfig

    /// - Parameters:
    ///   - config: what the round's sites were told.
    ///   - examples: as the site claims.
    ///   - cohort: the training labels that the round's sites have said they have, this one's among them.
    public init(_ config: RoundConfig, examples: Int, cohort: [Int]) {
        self.config = config
        // The lower one of two middle values: of two sites the smaller one.
        let median = cohort.isEmpty ? examples : cohort.sorted()[(cohort.count - 1) / 2]
        let believed = min(max(1, examples), max(1, median) * Self.mostMedians)
        let batch = max(1, config.batchStudies)
        let steps = max(1, config.epochs) * ((believed + batch - 1) / batch)
        path = config.learningRate * Double(steps + 1) / 2
    }

    /// The farthest that one value can move.
    ///
    /// - Parameter baseNorm: of the whole base version.
    public func farthest(baseNorm: Double) -> Double {
        switch config.optimiser {
        case .adam: path
        case .sgd:
            path * (Self.longestGradient + config.weightDecay * baseNorm) / max(1 - config.momentum, 1e-3)
        }
    }
}
