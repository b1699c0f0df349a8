// SPDX-License-Identifier: GPL-3.0-or-later

/// How far the stream of instances from one gateway has been worked off, on the gateway's own time line.
///
/// A quiet period measured by the worker's wall clock would end in the middle of a study whenever the gateway has a
/// backlog or the worker is busy. So time is counted along the stream: it moves by the distance between the times at
/// which the gateway received the instances, stands at the oldest instance that is not worked off yet, and runs with
/// the wall clock when nothing is outstanding. Clocks that jump backwards count as standing still.
///
/// All times are milliseconds. Not thread-safe by itself.
public struct ArrivalClock: Sendable {
    private struct Arrival {
        var index: Int
        var position: Int64
    }

    private var position: Int64 = 0
    private var lastReceivedAt: Int64?
    private var lastArrivalAt: Int64
    private var nextIndex = 0
    private var outstanding: [Arrival] = []
    private var finished: Set<Int> = []

    /// - Parameter now: a monotonic clock; all later calls use the same one.
    public init(now: Int64) {
        lastArrivalAt = now
    }

    /// Notes that an instance came.
    ///
    /// - Parameter receivedAt: when the gateway received it, by the gateway's clock.
    /// - Returns: what `finish` and `position(of:)` want.
    public mutating func arrive(receivedAt: Int64, now: Int64) -> Ticket {
        if let lastReceivedAt {
            let (distance, overflow) = receivedAt.subtractingReportingOverflow(lastReceivedAt)
            if !overflow, distance > 0 { position += min(distance, Self.longestStepMilliseconds) }
        }
        lastReceivedAt = receivedAt
        lastArrivalAt = now
        let ticket = Ticket(index: nextIndex, position: position)
        outstanding.append(Arrival(index: nextIndex, position: position))
        nextIndex += 1
        return ticket
    }

    /// Notes that what the instance brought is committed. A repeat has no effect.
    public mutating func finish(_ ticket: Ticket) {
        guard let first = outstanding.first, ticket.index >= first.index else { return }
        finished.insert(ticket.index)
        var done = 0
        while done < outstanding.count, finished.remove(outstanding[done].index) != nil { done += 1 }
        outstanding.removeFirst(done)
    }

    /// Every instance that came before this time on the stream is worked off.
    public func time(now: Int64) -> Int64 {
        if let oldest = outstanding.first { return oldest.position }
        return position + max(0, now - lastArrivalAt)
    }

    /// True when every instance that came before `mark()` returned `mark` is worked off.
    public func isWorkedOff(to mark: Int) -> Bool {
        guard let oldest = outstanding.first else { return true }
        return oldest.index >= mark
    }

    /// The present end of the stream, for `isWorkedOff(to:)`.
    public func mark() -> Int { nextIndex }

    /// Instances that came and are not worked off.
    public var outstandingCount: Int { outstanding.count - finished.count }

    public struct Ticket: Sendable, Equatable {
        let index: Int
        /// The instance's place on the stream's time line.
        public let position: Int64
    }

    // A wrong clock must not overflow the sum; a day is longer than any quiet period.
    private static let longestStepMilliseconds: Int64 = 86_400_000
}
