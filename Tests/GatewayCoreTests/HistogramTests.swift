// SPDX-License-Identifier: GPL-3.0-or-later
import Testing

@testable import GatewayCore

@Suite struct HistogramTests {
    @Test func `a percentile is the bound that the true value does not exceed`() {
        let histogram = Histogram()
        for value in 1...1_000 { histogram.add(nanoseconds: Int64(value) * 100) }
        #expect(histogram.snapshot.percentileMicroseconds(0.5) == 50)
        #expect(histogram.snapshot.percentileMicroseconds(0.99) == 100)
        #expect(histogram.snapshot.percentileMicroseconds(1) == 100)
    }

    @Test func `counts, their sum and the longest are kept, also of what is beyond every bound`() {
        let histogram = Histogram()
        for value: Int64 in [0, 1_000, 1_001, 150_000, 7_000_000_000, -5] { histogram.add(nanoseconds: value) }
        let snapshot = histogram.snapshot
        #expect(snapshot.total == 6)
        #expect(snapshot.counts.count == Histogram.boundsMicroseconds.count + 1)
        #expect(snapshot.counts.first == 3)
        #expect(snapshot.counts.last == 1)
        #expect(snapshot.cumulative.last == 6)
        #expect(snapshot.sumNanoseconds == 7_000_152_001)
        #expect(snapshot.longestNanoseconds == 7_000_000_000)
        #expect(snapshot.percentileMicroseconds(1) == 7_000_000)
        #expect((snapshot + snapshot).total == 12)
    }

    @Test func `without durations there is no percentile`() {
        #expect(Histogram().snapshot.percentileMicroseconds(0.99) == 0)
    }

    @Test func `the bounds that metrics show are the histogram's own`() {
        #expect(Metrics.hookBounds.isSubset(of: Histogram.boundsMicroseconds))
        #expect(Histogram.boundsMicroseconds == Histogram.boundsMicroseconds.sorted())
    }
}
