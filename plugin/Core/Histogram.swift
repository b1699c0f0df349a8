// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// Durations in fixed buckets, as metrics want them. Any thread.
final class Histogram: Sendable {
    /// Upper bounds of the buckets, inclusive, in microseconds; one more bucket takes what is longer.
    static let boundsMicroseconds: [Int64] = [
        1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 100, 120, 150, 200, 250, 300, 400, 500,
        750,
        1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000,
    ]

    struct Snapshot: Sendable, Equatable {
        /// One for each bound, and the last for what is longer.
        var counts = Array(repeating: 0, count: Histogram.boundsMicroseconds.count &+ 1)
        var sumNanoseconds: Int64 = 0
        var longestNanoseconds: Int64 = 0

        var total: Int { counts.reduce(0, &+) }

        /// How many durations were no longer than each bound, as Prometheus counts them; the last is all of them.
        var cumulative: [Int] {
            var sum = 0
            return counts.map { count in
                sum &+= count
                return sum
            }
        }

        /// The upper bound, in microseconds, of the bucket that holds this fraction of all durations; the longest one
        /// where there is no bound. 0 when there are none.
        func percentileMicroseconds(_ fraction: Double) -> Int64 {
            let total = self.total
            guard total > 0 else { return 0 }
            for (bound, seen) in zip(Histogram.boundsMicroseconds, cumulative)
            where Double(seen) >= fraction * Double(total) { return bound }
            return longestNanoseconds / 1_000
        }

        static func + (one: Snapshot, other: Snapshot) -> Snapshot {
            Snapshot(
                counts: zip(one.counts, other.counts).map { $0 &+ $1 },
                sumNanoseconds: one.sumNanoseconds &+ other.sumNanoseconds,
                longestNanoseconds: max(one.longestNanoseconds, other.longestNanoseconds))
        }
    }

    private let state = Mutex(Snapshot())

    var snapshot: Snapshot { state.withLock { $0 } }

    func add(nanoseconds: Int64) {
        let bucket = Histogram.boundsMicroseconds.firstIndex { nanoseconds <= $0 &* 1_000 }
        state.withLock { state in
            let index = bucket ?? state.counts.count &- 1
            if state.counts.indices.contains(index) { state.counts[index] &+= 1 }
            state.sumNanoseconds &+= max(nanoseconds, 0)
            state.longestNanoseconds = max(state.longestNanoseconds, nanoseconds)
        }
    }
}
