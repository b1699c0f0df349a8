// SPDX-License-Identifier: GPL-3.0-or-later

/// Tensors by name, for example the trainable parameters of a model or a delta of them.
public struct TensorMap: Sendable, Equatable {
    public var tensors: [String: Tensor]

    public init(_ tensors: [String: Tensor] = [:]) {
        self.tensors = tensors
    }

    /// In the order in which files and arithmetic take them: by UTF-8 bytes, independent of locale and Unicode version.
    public var names: [String] { tensors.keys.sorted(by: Self.precedes) }

    /// The number of values in all tensors.
    public var valueCount: Int { tensors.values.reduce(0) { $0 + $1.values.count } }

    static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}
