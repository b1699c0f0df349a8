// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
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
        case .cancelled: "stopped on request"
        }
    }

    /// Calls a function of the shim with a buffer for its error text.
    static func check(
        _ call: (UnsafeMutablePointer<CChar>, Int) -> Int32
    ) throws(TorchError) {
        var code: Int32 = 0
        let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer -> String in
            guard let base = buffer.baseAddress else { return "" }
            base.pointee = 0
            code = call(base, buffer.count)
            return code == Int32(GANTRY_TORCH_OK) ? "" : String(cString: base)
        }
        switch Int(code) {
        case GANTRY_TORCH_OK: return
        case GANTRY_TORCH_NO_MEMORY: throw .outOfMemory(reason: firstLines(text))
        case GANTRY_TORCH_OUTPUT_SHAPE: throw .outputShape(reason: text)
        case GANTRY_TORCH_NOT_FINITE: throw .notFinite(reason: text)
        case GANTRY_TORCH_LAYER: throw .layer(reason: text)
        default: throw .run(reason: firstLines(text))
        }
    }

    /// TorchScript errors carry a traceback through the model's code; its end says what happened.
    private static func firstLines(_ text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix(while: \.isWhitespace) }
        guard lines.count > 4 else { return lines.joined(separator: " ") }
        return (lines.prefix(2) + ["…"] + lines.suffix(2)).joined(separator: " ")
    }
}
