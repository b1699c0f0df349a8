// SPDX-License-Identifier: GPL-3.0-or-later

/// An RGB picture in memory, row by row.
struct Picture {
    struct Colour: Equatable {
        var red: UInt8
        var green: UInt8
        var blue: UInt8

        static let black = Colour(red: 0, green: 0, blue: 0)
        static let white = Colour(red: 255, green: 255, blue: 255)
        static let amber = Colour(red: 255, green: 190, blue: 40)
    }

    let width: Int
    let height: Int
    private(set) var bytes: [UInt8]

    /// A black picture.
    init(width: Int, height: Int) {
        self.width = width
        self.height = height
        bytes = [UInt8](repeating: 0, count: 3 * width * height)
    }

    subscript(x x: Int, y y: Int) -> Colour {
        let start = 3 * (y * width + x)
        return Colour(red: bytes[start], green: bytes[start + 1], blue: bytes[start + 2])
    }

    /// Without effect outside the picture.
    mutating func set(x: Int, y: Int, _ colour: Colour) {
        guard (0..<width).contains(x), (0..<height).contains(y) else { return }
        let start = 3 * (y * width + x)
        bytes[start] = colour.red
        bytes[start + 1] = colour.green
        bytes[start + 2] = colour.blue
    }
}
