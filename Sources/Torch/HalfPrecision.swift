// SPDX-License-Identifier: GPL-3.0-or-later

/// Single to IEEE half precision, rounded to nearest even, as `Float16(_:)` does; written out because that is a call of the
/// runtime for each value, and a slice has fifty thousand.
enum HalfPrecision {
    static func bits(of value: Float) -> UInt16 {
        let sign = UInt16(truncatingIfNeeded: (value.bitPattern & 0x8000_0000) >> 16)
        let magnitude = value.bitPattern & 0x7FFF_FFFF
        if magnitude >= 0x4780_0000 {
            // 65536 and more is infinite; not a number stays so.
            return sign | (magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00)
        }
        if magnitude < 0x3880_0000 {
            // Below the smallest normal half: the addition lets the processor shift and round.
            let shifted = Float(bitPattern: magnitude) + Float(bitPattern: 0x3F00_0000)
            return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3F00_0000)
        }
        let isOdd = (magnitude >> 13) & 1
        return sign | UInt16(truncatingIfNeeded: (magnitude &- 0x3800_0000 &+ 0xFFF &+ isOdd) >> 13)
    }
}
