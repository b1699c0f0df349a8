// SPDX-License-Identifier: GPL-3.0-or-later
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
}
