// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
import ModelPackage

/// The shape of one model input.
public struct InputShape: Sendable, Equatable {
    public let channels: Int
    public let height: Int
    public let width: Int

    public init(channels: Int, height: Int, width: Int) {
        self.channels = channels
        self.height = height
        self.width = width
    }

    public init(_ preprocessing: Preprocessing) {
        self.init(
            channels: preprocessing.channels.count, height: preprocessing.height, width: preprocessing.width)
    }

    /// Values in one input.
    public var valueCount: Int { channels * height * width }

    /// How many inputs one forward pass takes, so that memory and the time between two looks at the clock stay small: a model's
    /// activations are some hundred times its input.
    public var slicesAtOnce: Int { max(1, (1 << 19) / max(valueCount, 1)) }

    /// The shim's description of a batch whose memory is borrowed.
    func batch(_ values: UnsafeRawPointer, isHalf: Bool, count: Int) -> gantry_torch_inputs {
        gantry_torch_inputs(
            values: values, is_half: isHalf ? 1 : 0, count: Int64(count), channels: Int64(channels),
            height: Int64(height),
            width: Int64(width))
    }

    /// Calls `body` with the shim's description of some inputs.
    func withBatch<Outcome>(
        _ inputs: [Float], count: Int, _ body: (gantry_torch_inputs) throws(TorchError) -> Outcome
    ) throws(TorchError) -> Outcome {
        precondition(inputs.count == count * valueCount && count > 0, "\(inputs.count) values for \(count) inputs")
        let outcome = inputs.withUnsafeBytes { bytes in
            Result { () throws(TorchError) in
                guard let base = bytes.baseAddress else { throw .run(reason: "no inputs") }
                return try body(batch(base, isHalf: false, count: count))
            }
        }
        return try outcome.get()
    }
}
