// SPDX-License-Identifier: GPL-3.0-or-later
import Statistics
import Testing

@Suite struct PairedDifferenceTests {
    private func difference(_ both: Int, _ first: Int, _ second: Int, _ neither: Int) throws -> PairedDifference {
        func pairs(_ count: Int, _ one: Bool, _ two: Bool) -> [(first: Bool, second: Bool)] {
            Array(repeating: (one, two), count: count)
        }
        return try #require(
            PairedDifference(
                pairs(both, true, true) + pairs(first, true, false) + pairs(second, false, true)
                    + pairs(neither, false, false)))
    }

    /// Newcombe 1998 writes the first share minus the second; of his table II, method 10.
    @Test(arguments: [
        (36, 12, 2, 0, 0.0569, 0.3404), (20, 12, 2, 16, 0.0562, 0.3290),
    ]) func `the interval is the one of the paper`(
        _ a: Int, _ b: Int, _ c: Int, _ d: Int, _ low: Double, _ high: Double
    )
        throws
    {
        let interval = try difference(a, b, c, d).interval
        #expect(abs(interval.lowerBound + high) < 0.0005)
        #expect(abs(interval.upperBound + low) < 0.0005)
    }

    @Test func `nothing lost and nothing won says little with few studies`() throws {
        let same = try difference(2, 0, 0, 2)
        #expect(same.value == 0 && same.interval.contains(0.3) && same.interval.contains(-0.3))
        #expect(try difference(0, 4, 0, 0).interval.upperBound < 0)
        #expect(PairedDifference([]) == nil)
    }
}
