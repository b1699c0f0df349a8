// SPDX-License-Identifier: GPL-3.0-or-later

/// What a program and a model process say to each other, as one JSON text each. The file of a model, its parameters, inputs
/// and outputs do not travel, they lie in shared memory.
package enum ModelMessage: Codable, Equatable {
    // MARK: Questions

    /// The input memory begins with a TorchScript file of so many bytes. Answer: `loaded`.
    case load(bytes: Int, layout: Layout)
    /// Run `count` inputs (`channels` × `height` × `width` values each, halves or floats) from the beginning of the input
    /// memory. `isOptimised`: on the copy that is made for scoring. Answer: `done`; the output memory begins with count ×
    /// findings floats.
    case run(count: Int, isHalf: Bool, isOptimised: Bool)
    /// The masks of the one float input at the beginning of the input memory. Answer: `map`; findings × rows × columns floats.
    case masks
    /// The activation of a layer for that input. Answer: `map`; rows × columns floats.
    case activation(output: Int, layer: String)
    /// Answer: `done`; all parameters, one after the other as `loaded` lists them, as floats.
    case readParameters
    /// The input memory begins with all parameters, in that order. Answer: `done`.
    case writeParameters
    /// From now on the parameters train for which the input memory has a byte that is not 0. Answer: `done`.
    case beginTraining(Optimisation)
    /// The input memory begins with `count` inputs as halves; then, at `gradients`, follow count × findings floats: the
    /// derivative of the loss by each output. Answer: `done`.
    case accumulate(count: Int, gradients: Int)
    /// Answer: `done`.
    case step(learningRate: Double)
    /// Write the small CNN. Answer: `made`.
    case makeSmallCNN(channels: Int, findings: Int, widths: [Int64], seed: UInt64)

    // MARK: Answers

    /// The process has started and is confined.
    case ready
    /// The output memory begins with so many bytes of JSON: a list of `Parameter`.
    case loaded(bytes: Int)
    case done
    case map(rows: Int, columns: Int)
    /// The output memory begins with a TorchScript file of so many bytes.
    case made(bytes: Int)
    case failed(Fault, text: String)

    /// What a model takes and gives.
    package struct Layout: Codable, Equatable {
        package var channels: Int
        package var height: Int
        package var width: Int
        package var findings: Int
        /// Of a segmentation model: how many places of a mask have to reach a value for it to count; else 0.
        package var leastPlaces: Int
    }

    package struct Parameter: Codable, Equatable {
        package var name: String
        package var shape: [Int]

        package init(name: String, shape: [Int]) {
            self.name = name
            self.shape = shape
        }
    }

    package struct Optimisation: Codable, Equatable {
        package var isAdam: Bool
        package var weightDecay: Double
        package var momentum: Double
        package var longestGradient: Double
    }

    package enum Fault: String, Codable {
        case run, memory, outputShape, notFinite, layer
    }

    /// No message is longer; what is longer is damaged.
    package static let mostBytes = 32 << 10
    /// No list of parameters is longer.
    package static let mostListBytes = 8 << 20
}
