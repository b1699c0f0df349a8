// SPDX-License-Identifier: GPL-3.0-or-later

/// A dense float tensor in row-major order.
public struct Tensor: Sendable, Equatable {
    public var shape: [Int]
    /// Product of `shape` values.
    public var values: [Float]

    /// - Precondition: `values.count` is the product of `shape`.
    public init(shape: [Int], values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
        self.shape = shape
        self.values = values
    }
}

/// Tensors by name, for example the trainable parameters of a model or a delta of them.
public struct TensorMap: Sendable, Equatable {
    public var tensors: [String: Tensor]

    public init(_ tensors: [String: Tensor] = [:]) {
        self.tensors = tensors
    }

    /// In the order in which files and arithmetic take them.
    public var names: [String] { tensors.keys.sorted() }
}
