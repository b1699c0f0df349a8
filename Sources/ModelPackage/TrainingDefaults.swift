// SPDX-License-Identifier: GPL-3.0-or-later

/// What a round trains with unless the hub says otherwise.
public struct TrainingDefaults: Codable, Sendable, Equatable {
    public var parameters: Trainable
    public var loss: Loss
    public var optimiser: Optimiser
    /// Of the first step; falls linearly to 0 over a site's training in a round.
    public var learningRate: Double
    public var weightDecay: Double
    /// SGD only.
    public var momentum: Double
    public var epochs: Int
    /// Studies in a batch.
    public var batchStudies: Int

    public enum Trainable: Sendable, Equatable {
        case all
        /// The last module that has parameters.
        case head
        /// Parameters whose name is in the list or begins with an entry and a dot.
        case named([String])
    }

    public enum Loss: String, Codable, Sendable {
        /// Binary cross-entropy for each finding, weighted so that both classes count the same.
        case binaryCrossEntropy = "bce"
        /// Softmax cross-entropy over the outputs: exactly one finding is present in a study.
        case crossEntropy = "cross_entropy"
    }

    public enum Optimiser: String, Codable, Sendable { case sgd, adam }

    enum CodingKeys: String, CodingKey {
        case parameters, loss, optimiser, momentum, epochs
        case learningRate = "learning_rate"
        case weightDecay = "weight_decay"
        case batchStudies = "batch_studies"
    }

    public init(
        parameters: Trainable = .all, loss: Loss = .binaryCrossEntropy, optimiser: Optimiser = .adam,
        learningRate: Double = 1e-3, weightDecay: Double = 1e-4, momentum: Double = 0.9, epochs: Int = 1,
        batchStudies: Int = 4
    ) {
        self.parameters = parameters
        self.loss = loss
        self.optimiser = optimiser
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.momentum = momentum
        self.epochs = epochs
        self.batchStudies = batchStudies
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let defaults = TrainingDefaults()
        parameters = try values.decodeIfPresent(Trainable.self, forKey: .parameters) ?? defaults.parameters
        loss = try values.decodeIfPresent(Loss.self, forKey: .loss) ?? defaults.loss
        optimiser = try values.decodeIfPresent(Optimiser.self, forKey: .optimiser) ?? defaults.optimiser
        learningRate = try values.decodeIfPresent(Double.self, forKey: .learningRate) ?? defaults.learningRate
        weightDecay = try values.decodeIfPresent(Double.self, forKey: .weightDecay) ?? defaults.weightDecay
        momentum = try values.decodeIfPresent(Double.self, forKey: .momentum) ?? defaults.momentum
        epochs = try values.decodeIfPresent(Int.self, forKey: .epochs) ?? defaults.epochs
        batchStudies = try values.decodeIfPresent(Int.self, forKey: .batchStudies) ?? defaults.batchStudies
    }
}

/// `"all"`, `"head"` or a list of names.
extension TrainingDefaults.Trainable: Codable {
    public init(from decoder: Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let word = try? container.decode(String.self) {
            switch word {
            case "all": self = .all
            case "head": self = .head
            default:
                throw DecodingError.unknownWord(
                    word, allowed: #""all", "head" or a list such as ["fc", "layer4"]"#, decoder)
            }
            return
        }
        self = .named(try container.decode([String].self))
    }

    public func encode(to encoder: Encoder) throws {
        switch self {
        case .all: try encoder.encodeWord("all")
        case .head: try encoder.encodeWord("head")
        case .named(let names):
            var container = encoder.singleValueContainer()
            try container.encode(names)
        }
    }

    /// The names that train, of all parameter names in the order in which the model declares them.
    public func selection(from names: [String]) -> [String] {
        switch self {
        case .all: return names
        case .head:
            guard let last = names.last else { return [] }
            return names.filter { Self.module(of: $0) == Self.module(of: last) }
        case .named(let wanted):
            return names.filter { name in wanted.contains { name == $0 || name.hasPrefix($0 + ".") } }
        }
    }

    private static func module(of name: String) -> Substring {
        name.lastIndex(of: ".").map { name[..<$0] } ?? ""
    }
}
