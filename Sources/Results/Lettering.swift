// SPDX-License-Identifier: GPL-3.0-or-later

/// Text burned into a picture: one size, printable ASCII.
enum Lettering {
    static let height = 18

    private static let shapes: [(width: Int, rows: [UInt16])] = glyphs.map { glyph in
        let digits = Array(glyph.rows.utf8)
        return (
            glyph.width,
            stride(from: 0, to: digits.count, by: 4).map { start in
                UInt16(String(decoding: digits[start..<start + 4], as: UTF8.self), radix: 16) ?? 0
            }
        )
    }

    private static func shape(_ character: UInt8) -> (width: Int, rows: [UInt16]) {
        shapes[(0x20...0x7E).contains(character) ? Int(character) - 0x20 : Int(UInt8(ascii: "?")) - 0x20]
    }

    static func width(_ text: String) -> Int { text.utf8.reduce(0) { $0 + shape($1).width } }

    /// The words of `text` on as many lines as `width` pixels need.
    static func lines(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, self.width("\(last) \(word)") <= width {
                lines[lines.count - 1] = "\(last) \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }

    /// Draws `text` with its top left corner at (x, y); what lies outside the picture is cut off.
    static func draw(_ text: String, x: Int, y: Int, colour: Picture.Colour, on picture: inout Picture) {
        var left = x
        for character in text.utf8 {
            let shape = shape(character)
            for (row, bits) in shape.rows.enumerated() {
                for column in 0..<16 where bits & (0x8000 >> UInt16(column)) != 0 {
                    picture.set(x: left + column, y: y + row, colour)
                }
            }
            left += shape.width
        }
    }
}
