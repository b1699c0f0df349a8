// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// Whether instances are refused because no worker was there for too long: only when the administrator wants that.
///
/// Any thread; no locks.
final class Refusal: Sendable {
    /// 0: never.
    private let afterMilliseconds: Int64
    /// From the start on, a worker has that long to appear.
    private let lastThere: Atomic<Int64>
    private let refused = Atomic<Int>(0)

    init(afterSeconds seconds: Int64) {
        afterMilliseconds = seconds &* 1_000
        lastThere = Atomic(Clock.steadyMilliseconds())
    }

    var refuses: Bool {
        afterMilliseconds > 0
            && Clock.steadyMilliseconds() &- lastThere.load(ordering: .relaxed) > afterMilliseconds
    }

    /// Instances that were refused since the start.
    var count: Int { refused.load(ordering: .relaxed) }

    /// Counts when the answer is no.
    func accepts() -> Bool {
        guard refuses else { return true }
        refused.wrappingAdd(1, ordering: .relaxed)
        return false
    }

    func workerIsThere() { lastThere.store(Clock.steadyMilliseconds(), ordering: .relaxed) }
}
