// SPDX-License-Identifier: GPL-3.0-or-later

/// A dense float tensor in row-major order.
public struct Tensor: Sendable, Equatable {
    public var shape: [Int]
    /// Product of `shape` values; a scalar has the empty shape and one value.
    public var values: [Float]

    /// - Precondition: `values.count` is the product of `shape`.
    public init(shape: [Int], values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
        self.shape = shape
        self.values = values
    }
}
