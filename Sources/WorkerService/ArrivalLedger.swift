// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization
import Triage

/// The arrival clocks of all gateways. Any thread.
final class ArrivalLedger: Sendable {
    private let clocks = Mutex<[String: ArrivalClock]>([:])
    private let monotonic: @Sendable () -> Int64
    private let lastArrival: Atomic<Int64>
    /// A copy of what the clocks say, for a thread that must not hold their lock.
    private let outstanding = Atomic<Int>(0)

    init(timepiece: Timepiece) {
        monotonic = timepiece.monotonic
        lastArrival = Atomic(.min)
    }

    func arrive(gateway: String, receivedAt: Int64) -> ArrivalClock.Ticket {
        let now = monotonic()
        lastArrival.store(now, ordering: .relaxed)
        return clocks.withLock { clocks in
            defer { outstanding.store(Self.count(clocks), ordering: .relaxed) }
            return clocks[gateway, default: ArrivalClock(now: now)].arrive(receivedAt: receivedAt, now: now)
        }
    }

    func finish(_ arrivals: [Arrival]) {
        clocks.withLock { clocks in
            for arrival in arrivals { clocks[arrival.gateway]?.finish(arrival.ticket) }
            outstanding.store(Self.count(clocks), ordering: .relaxed)
        }
    }

    /// `ArrivalClock.time` of a gateway, which may not have spoken yet.
    func time(_ gateway: String) -> Int64 {
        let now = monotonic()
        return clocks.withLock { clocks in
            // A clock begins to run when it is first looked at: studies may wait for a gateway that is not back yet.
            let clock = clocks[gateway] ?? ArrivalClock(now: now)
            clocks[gateway] = clock
            return clock.time(now: now)
        }
    }

    func mark(_ gateway: String) -> Int {
        clocks.withLock { $0[gateway]?.mark() ?? 0 }
    }

    func isWorkedOff(_ gateway: String, to mark: Int) -> Bool {
        clocks.withLock { $0[gateway]?.isWorkedOff(to: mark) ?? true }
    }

    /// Instances that came and are not acknowledged.
    var outstandingCount: Int { outstanding.load(ordering: .relaxed) }

    private static func count(_ clocks: [String: ArrivalClock]) -> Int {
        clocks.values.reduce(0) { $0 + $1.outstandingCount }
    }

    /// True while triage has work, or had some a moment ago and the next instance may be on its way. Takes no lock.
    func isBusy(withinMilliseconds: Int64) -> Bool {
        let last = lastArrival.load(ordering: .relaxed)
        return outstandingCount > 0 || last != .min && monotonic() - last < withinMilliseconds
    }
}
