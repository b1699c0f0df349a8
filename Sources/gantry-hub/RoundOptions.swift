// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import ModelPackage
import Rounds

/// How rounds run; what is not given stays as it was.
struct RoundOptions: ParsableArguments {
    @Option(help: "Rounds for each model, after which no more are opened; 0: no limit. (first start: 0)")
    var rounds: Int?

    @Option(help: "Contributions without which no new version is made. (first start: 2)")
    var quorum: Int?

    @Option(help: "Seconds a round waits for its sites. (first start: 600)")
    var deadline: Int?

    @Option(help: "How often a round with too few contributions waits once more before it is void. (first start: 1)")
    var extensions: Int?

    @Option(help: "A site with fewer training labels is not asked. (first start: 8)")
    var minimumLabels: Int?

    @Option(help: "Without a limit of rounds: new labels at all sites before another round opens. (first start: 8)")
    var newLabels: Int?

    @Option(help: "Seconds between the end of a round and the next. (first start: 5)")
    var pause: Int?

    @Option(help: "Least seconds between the openings of two rounds. (first start: 60)")
    var interval: Int?

    @Option(help: "Rounds for each model whose deltas, refusals and reports are kept. (first start: 200)")
    var keptRounds: Int?

    @Option(help: "Most that one site counts in a round, as a part of 1. (first start: 0.5)")
    var largestShare: Double?

    @Option(help: "Screen: how many times as far as the round's training a delta may move a value. (first start: 3)")
    var largestStep: Double?

    @Option(help: "Screen: how many times as large as itself a tensor may change. (first start: 10)")
    var largestChange: Double?

    @Option(help: "Screen: how many times the round's median a delta's norm may be. (first start: 10)")
    var largestNorm: Double?

    // A cosine may begin with a dash.
    @Option(
        parsing: .unconditional, help: "Screen: least cosine to the other sites' mean direction. (first start: -0.5)")
    var leastCosine: Double?

    @Option(help: "Seconds after which a silent site counts as away. (first start: 60)")
    var presence: Int?

    @Option(help: "Passes over the examples in a round. (unless given: the model package's)")
    var epochs: Int?

    @Option(help: "Studies in a training batch. (unless given: the model package's)")
    var batchStudies: Int?

    @Option(help: "sgd or adam. (unless given: the model package's)")
    var optimiser: TrainingDefaults.Optimiser?

    @Option(help: "Learning rate. (unless given: the model package's)")
    var learningRate: Double?

    @Option(help: "Weight decay. (unless given: the model package's)")
    var weightDecay: Double?

    @Option(help: "Momentum, for sgd. (unless given: the model package's)")
    var momentum: Double?

    @Flag(help: "Forget the training settings of earlier starts; the model package's count again.")
    var packageTraining = false

    func apply(to settings: inout RoundSettings) {
        if packageTraining {
            settings.epochs = nil
            settings.batchStudies = nil
            settings.optimiser = nil
            settings.learningRate = nil
            settings.weightDecay = nil
            settings.momentum = nil
        }
        settings.roundLimit = rounds ?? settings.roundLimit
        settings.quorum = quorum ?? settings.quorum
        settings.deadlineSeconds = deadline ?? settings.deadlineSeconds
        settings.extensions = extensions ?? settings.extensions
        settings.minimumLabels = minimumLabels ?? settings.minimumLabels
        settings.newLabels = newLabels ?? settings.newLabels
        settings.pauseSeconds = pause ?? settings.pauseSeconds
        settings.intervalSeconds = interval ?? settings.intervalSeconds
        settings.keptRounds = keptRounds ?? settings.keptRounds
        settings.largestShare = largestShare ?? settings.largestShare
        settings.largestStep = largestStep ?? settings.largestStep
        settings.largestChange = largestChange ?? settings.largestChange
        settings.largestNorm = largestNorm ?? settings.largestNorm
        settings.leastCosine = leastCosine ?? settings.leastCosine
        settings.presenceSeconds = presence ?? settings.presenceSeconds
        settings.epochs = epochs ?? settings.epochs
        settings.batchStudies = batchStudies ?? settings.batchStudies
        settings.optimiser = optimiser ?? settings.optimiser
        settings.learningRate = learningRate ?? settings.learningRate
        settings.weightDecay = weightDecay ?? settings.weightDecay
        settings.momentum = momentum ?? settings.momentum
    }
}

extension TrainingDefaults.Optimiser: ExpressibleByArgument {}
