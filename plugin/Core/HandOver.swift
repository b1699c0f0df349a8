// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization
import Wire
import ZeroMQ

/// One instance that the host has stored, as the hook saw it.
struct Arrival: Sendable {
    var instance: GatewayInstanceID
    var callingAETitle: String
    var sizeBytes: Int
    var receivedAtMilliseconds: Int64
    /// Nil when only the id was kept; else its size is reserved in the window.
    var payload: Payload?
}

/// What the hook leaves for the courier: the only thing that both touch, and only to move values in and out.
final class HandOver: Sendable {
    /// Ids only, this is less than 4 MB; the bytes are bounded by the window.
    static let capacity = 16_384
    /// The courier takes them long before there are more, so that the hook does not make the array grow.
    private static let usualCapacity = 512

    private struct State {
        var arrivals: [Arrival] = []
        var missed = false
        var counts = Counts()
    }

    struct Counts: Sendable, Equatable {
        var withBytes = 0
        var withIDOnly = 0
        /// Not taken because the queue was full; found again in the host's log.
        var missed = 0
    }

    private let state = Mutex(State())
    /// How long the hook took for instances whose bytes it copied.
    let durationsWithBytes = Histogram()
    /// How long it took for those of which it kept the id.
    let durationsWithIDOnly = Histogram()
    private let wakeup: Wakeup

    init(wakeup: Wakeup) {
        self.wakeup = wakeup
        state.withLock { $0.arrivals.reserveCapacity(HandOver.usualCapacity) }
    }

    var counts: Counts { state.withLock { $0.counts } }

    /// The hot path. Never waits for more than another thread's append.
    ///
    /// - Returns: false when the queue is full.
    func put(_ arrival: Arrival) -> Bool {
        let (taken, first) = state.withLock { state in
            guard state.arrivals.count < HandOver.capacity else {
                state.missed = true
                state.counts.missed &+= 1
                return (false, false)
            }
            state.arrivals.append(arrival)
            if arrival.payload == nil { state.counts.withIDOnly &+= 1 } else { state.counts.withBytes &+= 1 }
            return (true, state.arrivals.count == 1)
        }
        // The courier looks again after each nap; only one that sleeps needs to be woken.
        if first { wakeup.signal() }
        return taken
    }

    func take() -> [Arrival] {
        var next: [Arrival] = []
        next.reserveCapacity(HandOver.usualCapacity)
        return state.withLock { [next] state in
            let taken = state.arrivals
            if !taken.isEmpty { state.arrivals = next }
            return taken
        }
    }

    /// Instances that wait to be taken.
    var waitingCount: Int { state.withLock { $0.arrivals.count } }

    /// Whether something was missed since the last call.
    func takeMissed() -> Bool {
        state.withLock { state in
            defer { state.missed = false }
            return state.missed
        }
    }
}
