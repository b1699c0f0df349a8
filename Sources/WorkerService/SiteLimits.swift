// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage

/// What the site allows at most, or asks for at least, whatever a model package or a hub says. Settings of the worker.
struct SiteLimits: Sendable, Equatable {
    /// How much worse than the live version a new one may be, whatever margin the package asks for.
    var guardMarginMost = 0.05
    /// The same for the sensitivity and the specificity at the operating threshold.
    var guardToleranceMost = 0.1
    /// Held-out labels of each class without which no new version goes live, also where the package wants fewer.
    var heldOutLabelsLeast = 2
    /// Labelled studies without which the site does not train, also where the hub wants fewer.
    var trainingStudiesLeast = 4
    /// A round that asks for more than one of these is declined.
    var epochsMost = 100
    var learningRateMost = 0.1
    var batchStudiesMost = 64

    /// What every package's guard rule is bounded by.
    var guardFloor: GuardFloor {
        GuardFloor(
            largestMargin: guardMarginMost, largestTolerance: guardToleranceMost,
            minimumLabelsPerClass: heldOutLabelsLeast)
    }

    /// Why the site does not train in a round. The raw value is the name in status and audit log.
    enum RoundRefusal: String, Sendable {
        case base
        case epochs
        case batchStudies = "batch-studies"
        case learningRate = "learning-rate"
        case weightDecay = "weight-decay"
        case momentum
    }

    /// What of a round is not allowed here; nil: nothing. A round is taken as it is or not at all: trained with other
    /// settings, its delta would not be what the hub averages with others.
    ///
    /// - Parameter package: of the model that the round belongs to.
    func refusal(of round: RoundConfig, package: Hash) -> (reason: RoundRefusal, text: String)? {
        if round.base.package != package { return (.base, "it starts from another package") }
        if !(1...epochsMost).contains(round.epochs) {
            return (.epochs, "\(round.epochs) epochs; epochs_most is \(epochsMost)")
        }
        if !(1...batchStudiesMost).contains(round.batchStudies) {
            return (
                .batchStudies, "batches of \(round.batchStudies) studies; batch_studies_most is \(batchStudiesMost)"
            )
        }
        if !(round.learningRate > 0 && round.learningRate <= learningRateMost) {
            return (.learningRate, "learning rate \(round.learningRate); learning_rate_most is \(learningRateMost)")
        }
        if !(0...1).contains(round.weightDecay) {
            return (.weightDecay, "weight decay \(round.weightDecay), not 0 to 1")
        }
        if !(round.momentum >= 0 && round.momentum < 1) {
            return (.momentum, "momentum \(round.momentum), not from 0 to below 1")
        }
        return nil
    }

    /// - Throws: `SettingsError` that names the first limit that cannot work.
    func check() throws(SettingsError) {
        func require(_ isGood: Bool, _ key: String, _ expected: String) throws(SettingsError) {
            if !isGood { throw .badValue(key: key, expected: expected) }
        }
        try require((0...1).contains(guardMarginMost), "guard_margin_most", "0 to 1")
        try require((0...1).contains(guardToleranceMost), "guard_tolerance_most", "0 to 1")
        try require((1...1_000_000).contains(heldOutLabelsLeast), "held_out_labels_least", "1 to 1000000")
        try require((1...1_000_000).contains(trainingStudiesLeast), "training_studies_least", "1 to 1000000")
        try require((1...1000).contains(epochsMost), "epochs_most", "1 to 1000")
        try require(learningRateMost > 0 && learningRateMost <= 10, "learning_rate_most", "above 0, at most 10")
        try require((1...4096).contains(batchStudiesMost), "batch_studies_most", "1 to 4096")
    }
}
