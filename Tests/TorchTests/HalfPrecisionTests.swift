// SPDX-License-Identifier: GPL-3.0-or-later
import Testing

@testable import Torch

@Suite struct HalfPrecisionTests {
    @Test func `Every half and what lies between two of them is rounded as the language does it`() {
        for bits in UInt16.min...UInt16.max {
            let half = Float16(bitPattern: bits)
            guard half.isFinite else { continue }
            let value = Float(half)
            let step = Float(half.ulp)
            for part in [Float(0), 0.25, 0.5, 0.5000001, 0.75] {
                let between = value + part * step
                guard HalfPrecision.bits(of: between) == Float16(between).bitPattern else {
                    Issue.record("\(between)")
                    return
                }
            }
        }
    }

    @Test func `What no half can hold is infinite, and what is no number stays none`() {
        for value: Float in [65519, 65520, 65535, 65536, 1e30, .infinity, -1e30, 1e-8, -1e-30, .leastNonzeroMagnitude] {
            #expect(HalfPrecision.bits(of: value) == Float16(value).bitPattern, "\(value)")
        }
        #expect(Float16(bitPattern: HalfPrecision.bits(of: .nan)).isNaN)
    }
}
