// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage

/// How the operator wants rounds to run. One for all models of a hub; kept in `hub.sqlite`.
public struct RoundSettings: Codable, Sendable, Equatable {
    /// Contributions without which no new version is made.
    public var quorum = 2
    /// How long a round waits for its cohort.
    public var deadlineSeconds = 600
    /// How often a round with too few contributions at its deadline waits once more before it is void.
    public var extensions = 1
    /// A site with fewer training labels is not asked.
    public var minimumLabels = 8
    /// Closed rounds per model after which no more are opened; 0: no limit.
    public var roundLimit = 0
    /// Without a limit, labels that must be new at the sites together before another round opens.
    public var newLabels = 8
    /// Rest between the end of a round and the opening of the next.
    public var pauseSeconds = 5
    /// Least time between the openings of two rounds, whatever the sites say.
    public var intervalSeconds = 60
    /// Rounds per model whose deltas, refusals and reports are kept beside the audit log.
    public var keptRounds = 200
    /// Most that one site counts in a round, as a part of 1.
    public var largestShare = 0.5
    /// See `BoundScreen.largestStep`.
    public var largestStep = 3.0
    /// See `BoundScreen.largestChange`.
    public var largestChange = 10.0
    /// See `NormScreen.largestNorm`.
    public var largestNorm = 10.0
    /// See `CosineScreen.leastCosine`.
    public var leastCosine = -0.5
    /// A site that was silent for longer is not asked.
    public var presenceSeconds = 60
    /// Where nil, the model package says.
    public var epochs: Int?
    public var batchStudies: Int?
    public var optimiser: TrainingDefaults.Optimiser?
    public var learningRate: Double?
    public var weightDecay: Double?
    public var momentum: Double?

    public init() {}

    /// Settings that an earlier release wrote lack some; those have their defaults.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func read<Value: Decodable>(_ key: CodingKeys, _ standard: Value) throws -> Value {
            try values.decodeIfPresent(Value.self, forKey: key) ?? standard
        }
        quorum = try read(.quorum, quorum)
        deadlineSeconds = try read(.deadlineSeconds, deadlineSeconds)
        extensions = try read(.extensions, extensions)
        minimumLabels = try read(.minimumLabels, minimumLabels)
        roundLimit = try read(.roundLimit, roundLimit)
        newLabels = try read(.newLabels, newLabels)
        pauseSeconds = try read(.pauseSeconds, pauseSeconds)
        intervalSeconds = try read(.intervalSeconds, intervalSeconds)
        keptRounds = try read(.keptRounds, keptRounds)
        largestShare = try read(.largestShare, largestShare)
        largestStep = try read(.largestStep, largestStep)
        largestChange = try read(.largestChange, largestChange)
        largestNorm = try read(.largestNorm, largestNorm)
        leastCosine = try read(.leastCosine, leastCosine)
        presenceSeconds = try read(.presenceSeconds, presenceSeconds)
        epochs = try values.decodeIfPresent(Int.self, forKey: .epochs)
        batchStudies = try values.decodeIfPresent(Int.self, forKey: .batchStudies)
        optimiser = try values.decodeIfPresent(TrainingDefaults.Optimiser.self, forKey: .optimiser)
        learningRate = try values.decodeIfPresent(Double.self, forKey: .learningRate)
        weightDecay = try values.decodeIfPresent(Double.self, forKey: .weightDecay)
        momentum = try values.decodeIfPresent(Double.self, forKey: .momentum)
    }

    /// Nil when every setting makes sense, else a sentence about the first that does not.
    public var fault: String? {
        let rules: [(Bool, String)] = [
            (quorum >= 1, "the quorum must be at least 1"),
            ((1...31_536_000).contains(deadlineSeconds), "the deadline must be from 1 second to one year"),
            ((0...100).contains(extensions), "a round can be extended 0 to 100 times"),
            (minimumLabels >= 1, "the minimum of labels must be at least 1"),
            (roundLimit >= 0, "the number of rounds must be 0 (no limit) or more"),
            (newLabels >= 0, "the number of new labels must be 0 or more"),
            ((0...31_536_000).contains(pauseSeconds), "the pause must be from 0 seconds to one year"),
            ((0...31_536_000).contains(intervalSeconds), "the interval must be from 0 seconds to one year"),
            ((1...1_000_000).contains(keptRounds), "the number of kept rounds must be from 1 to 1000000"),
            (largestShare > 0 && largestShare <= 1, "the largest share must be above 0 and at most 1"),
            (largestStep.isFinite && largestStep > 0, "the largest step must be a number above 0"),
            (largestChange.isFinite && largestChange > 0, "the largest change must be a number above 0"),
            (largestNorm.isFinite && largestNorm >= 1, "the largest norm must be a number, 1 or more"),
            ((-1...1).contains(leastCosine), "the least cosine must be from -1 to 1"),
            (presenceSeconds >= 1, "the presence time must be at least 1 second"),
            (epochs.map { (1...1000).contains($0) } ?? true, "epochs must be from 1 to 1000"),
            (batchStudies.map { (1...4096).contains($0) } ?? true, "the batch must be from 1 to 4096 studies"),
            (learningRate.map { $0.isFinite && $0 > 0 } ?? true, "the learning rate must be a number above 0"),
            (weightDecay.map { $0.isFinite && $0 >= 0 } ?? true, "the weight decay must be a number, 0 or more"),
            (momentum.map { (0..<1).contains($0) } ?? true, "the momentum must be from 0 to below 1"),
        ]
        return rules.first { !$0.0 }?.1
    }

    /// What judges one delta by itself.
    public var bounds: BoundScreen { BoundScreen(largestStep: largestStep, largestChange: largestChange) }

    /// What judges the deltas of a round together.
    public var screening: Screening {
        Screening(
            norm: NormScreen(largestNorm: largestNorm), cosine: CosineScreen(leastCosine: leastCosine))
    }

    /// What a site is told about a round, complete but for the seconds left.
    ///
    /// - Parameter round: also the seed, so that the same round is trained in the same order again after a crash.
    public func config(round: Int, base: ModelVersion, defaults: TrainingDefaults) -> RoundConfig {
        RoundConfig(
            round: round, base: base, secondsLeft: deadlineSeconds, minimumLabels: minimumLabels,
            epochs: epochs ?? defaults.epochs, batchStudies: batchStudies ?? defaults.batchStudies,
            optimiser: optimiser ?? defaults.optimiser, learningRate: learningRate ?? defaults.learningRate,
            weightDecay: weightDecay ?? defaults.weightDecay, momentum: momentum ?? defaults.momentum,
            seed: UInt64(round))
    }
}
