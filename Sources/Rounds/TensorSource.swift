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

/// Values of one tensor, in row-major order.
public struct TensorPiece: Sendable, Equatable {
    public let name: String
    public let range: Range<Int>

    public init(name: String, range: Range<Int>) {
        self.name = name
        self.range = range
    }
}
