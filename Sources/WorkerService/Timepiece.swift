// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// The two clocks a worker needs; tests bring their own.
struct Timepiece: Sendable {
    /// Unix milliseconds UTC, for what people and other machines see.
    var unix: @Sendable () -> Int64
    /// Milliseconds that never jump, for waiting.
    var monotonic: @Sendable () -> Int64

    static let system = Timepiece(
        unix: { Int64(Date().timeIntervalSince1970 * 1000) },
        monotonic: { Int64(clock_gettime_nsec(CLOCK_MONOTONIC) / 1_000_000) })

    private static func clock_gettime_nsec(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
