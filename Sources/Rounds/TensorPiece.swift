// SPDX-License-Identifier: GPL-3.0-or-later

/// Values of one tensor, in row-major order.
public struct TensorPiece: Sendable, Equatable {
    public let name: String
    public let range: Range<Int>

    public init(name: String, range: Range<Int>) {
        self.name = name
        self.range = range
    }
}
