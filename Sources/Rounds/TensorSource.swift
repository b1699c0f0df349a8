// SPDX-License-Identifier: GPL-3.0-or-later
import Tensors

/// Named tensors that can be read in pieces: a file, or a map in a test.
public protocol TensorSource: Sendable {
    var names: [String] { get }
    /// Nil when there is no tensor of this name.
    func shape(of name: String) -> [Int]?
    /// The values `range` in row-major order.
    func values(of name: String, in range: Range<Int>) throws -> [Float]
}

extension SafetensorsFile: TensorSource {
    public func shape(of name: String) -> [Int]? { entry(name)?.shape }
}
