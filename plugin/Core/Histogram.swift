// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// Durations in buckets whose bounds grow by a quarter of a power of two: any percentile within 19 %.
final class Histogram: Sendable {
    private static let bucketCount = 160
    private let buckets = Mutex<[Int]>(Array(repeating: 0, count: Histogram.bucketCount))

    func add(nanoseconds: Int64) {
        let bucket = Histogram.bucket(of: nanoseconds)
        buckets.withLock { buckets in
            if buckets.indices.contains(bucket) { buckets[bucket] &+= 1 }
        }
    }

    /// The upper bound, in nanoseconds, of the bucket that holds each fraction of all durations; zeros when empty.
    func percentiles(_ fractions: [Double]) -> [Int64] {
        let counts = buckets.withLock { $0 }
        let total = counts.reduce(0, &+)
        return fractions.map { fraction in
            var seen = 0
            for (bucket, count) in counts.enumerated() where count > 0 {
                seen &+= count
                if Double(seen) >= fraction * Double(total) { return Histogram.upperBound(of: bucket) }
            }
            return 0
        }
    }

    /// For each of `bounds`, in nanoseconds and rising, how many durations were in buckets that end at or below it; and
    /// the number and the sum of all, each taken as its bucket's upper bound.
    func cumulative(upTo bounds: [Int64]) -> (counts: [Int], total: Int, sumNanoseconds: Double) {
        let counts = buckets.withLock { $0 }
        var sum = 0.0
        var cumulative = [Int](repeating: 0, count: bounds.count)
        for (bucket, count) in counts.enumerated() where count > 0 {
            let upper = Histogram.upperBound(of: bucket)
            sum += Double(count) * Double(upper)
            for (index, bound) in bounds.enumerated() where upper <= bound { cumulative[index] &+= count }
        }
        return (cumulative, counts.reduce(0, &+), sum)
    }

    static func bucket(of nanoseconds: Int64) -> Int {
        let value = UInt64(clamping: nanoseconds)
        guard value >= 4 else { return Int(truncatingIfNeeded: value) }
        let exponent = 63 &- value.leadingZeroBitCount
        let quarter = Int(truncatingIfNeeded: (value >> UInt64(exponent &- 2)) & 3)
        return min((exponent &- 1) &* 4 &+ quarter, bucketCount &- 1)
    }

    static func upperBound(of bucket: Int) -> Int64 {
        guard bucket >= 4 else { return Int64(bucket) }
        let exponent = bucket / 4 &+ 1
        let quarter = Int64(bucket % 4)
        return (quarter &+ 5) << Int64(exponent &- 2)
    }
}
