// SPDX-License-Identifier: GPL-3.0-or-later
import Tensors

/// What went wrong with a model: loading, running or training it.
public enum TorchError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The TorchScript file cannot be loaded.
    case load(path: String, reason: String)
    /// The model raised an error while it ran.
    case run(reason: String)
    case outOfMemory(reason: String)
    /// The output has not the shape inputs × findings.
    case outputShape(reason: String)
    /// An output, parameter or gradient is infinite or not a number.
    case notFinite(reason: String)
    /// A layer that the package names is not there, or gives nothing that can be laid over the input.
    case layer(reason: String)
    /// Parameters that are not this model's.
    case parameters(TensorMismatch)
    /// Nothing in the model is selected for training.
    case nothingTrainable(reason: String)
    /// The examples cannot teach anything, for example all have the same label.
    case nothingToLearn(reason: String)
    /// A file of preprocessed slices cannot be used.
    case example(path: String, reason: String)
    /// After training the model says the same for every input.
    case constantOutput
    /// The model's process died, hung or tried something forbidden; the model has to be loaded again.
    case process(ProcessFailure)
    /// No process can be started for the model now; says nothing about the model.
    case unavailable(reason: String)
    /// The caller asked to stop.
    case cancelled

    public var description: String {
        switch self {
        case .load(let path, let reason): "\(path) cannot be loaded as TorchScript: \(reason)"
        case .run(let reason): "the model cannot run: \(reason)"
        case .outOfMemory(let reason): "not enough memory for the model: \(reason)"
        case .outputShape(let reason), .notFinite(let reason), .layer(let reason): reason
        case .parameters(let mismatch): "the parameters are not this model's: \(mismatch)"
        case .nothingTrainable(let reason), .nothingToLearn(let reason): reason
        case .example(let path, let reason): "example \(path): \(reason)"
        case .constantOutput: "after training the model gives the same output for every input"
        case .process(let failure): failure.reason
        case .unavailable(let reason): "no model process can be started: \(reason)"
        case .cancelled: "stopped on request"
        }
    }

    /// What a model process says has failed. The text is the model's: it is shortened and stays in one line.
    init(_ fault: ModelMessage.Fault, text: String) {
        let text = Self.firstLines(text)
        self =
            switch fault {
            case .run: .run(reason: text)
            case .memory: .outOfMemory(reason: text)
            case .outputShape: .outputShape(reason: text)
            case .notFinite: .notFinite(reason: text)
            case .layer: .layer(reason: text)
            }
    }

    /// TorchScript errors carry a traceback through the model's code; its end says what happened.
    private static func firstLines(_ text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix(while: \.isWhitespace) }
        let chosen = lines.count > 4 ? lines.prefix(2) + ["…"] + lines.suffix(2) : lines[...]
        let line = chosen.joined(separator: " ").filter { character in
            character.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
        }
        return String(line.prefix(mostCharacters))
    }

    private static let mostCharacters = 1000
}
