// SPDX-License-Identifier: GPL-3.0-or-later

/// SplitMix64 (Steele, Lea, Flood 2014). Written out because phantoms made from one seed must be the same with every
/// version of the standard library.
struct PhantomRandom {
    private var state: UInt64

    init(_ parts: [UInt64]) {
        state = 0x6761_6E74_7279_3031
        for part in parts {
            state ^= part
            _ = next()
            state = next()
        }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func uniform(_ low: Double, _ high: Double) -> Double {
        low + (high - low) * Double(next() >> 11) / Double(1 << 53)
    }

    mutating func side() -> Double { next() & 1 == 0 ? -1 : 1 }

    /// `2.25.` and a random UUID as a decimal number (PS3.5 annex B.2).
    mutating func uid() -> String {
        let high = next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return "2.25.\(UInt128(high) << 64 | UInt128(low))"
    }
}
