// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// How often worklist pages may ask. Orthanc keeps a thread for each connection until it was idle for a second, so that a
/// page that asks more often than that has one for itself: beyond half of the threads, pages ask less often, and leave
/// the others to viewers and administrators. (Measured with 50 threads and 120 pages that asked every 500 ms: each
/// other request waited for up to 8 s.)
final class PollPace: Sendable {
    static let shortestMilliseconds: Int64 = 500
    private static let longestMilliseconds: Int64 = 10_000
    private static let windowMilliseconds: Int64 = 4_000

    private struct Window {
        var beganAt: Int64 = 0
        /// For how long, in all, those who asked will not ask again: as long as the window for each page.
        var coveredMilliseconds: Int64 = 0
        /// Pages in the window before.
        var pages: Int64 = 0
    }

    private let threads: Int64
    private let window = Mutex(Window())

    /// - Parameter httpThreads: Orthanc's `HttpThreadsCount`.
    init(httpThreads: Int64) { threads = max(httpThreads / 2, 1) }

    /// - Parameters:
    ///   - every: how often the page that asks does so at present, in milliseconds.
    ///   - now: steady milliseconds.
    /// - Returns: how often it should from now on, in milliseconds.
    func next(every: Int64, now: Int64) -> Int64 {
        window.withLock { window in
            let age = max(now &- window.beganAt, 1)
            if age >= PollPace.windowMilliseconds {
                let isLast = age < PollPace.windowMilliseconds &* 4
                window = Window(beganAt: now, pages: isLast ? window.coveredMilliseconds / age : 0)
            }
            window.coveredMilliseconds &+= min(max(every, 0), PollPace.longestMilliseconds)
            return min(
                max(window.pages &* 1_000 / threads, PollPace.shortestMilliseconds), PollPace.longestMilliseconds)
        }
    }
}
