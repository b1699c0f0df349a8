// SPDX-License-Identifier: GPL-3.0-or-later

/// The connections of a socket that listens, and which of them have to go. Times are milliseconds of a steady clock.
struct ConnectionTable {
    struct Ending: Equatable {
        let connection: Connection
        /// Empty when it is not known.
        let user: String
        let reason: ConnectionLimiter.Reason
    }

    private struct Entry {
        let connection: Connection
        let openedAt: Int64
        /// Grows with each connection: the order in which they came.
        let serial: Int
        var admission: Admission?
        var hasSpoken = false
        var backlog: Backlog
        var isEnding = false

        var user: String { admission?.user ?? "" }
    }

    private let limits: ConnectionLimits
    private var entries: [Int32: Entry] = [:]
    private var serial = 0

    init(_ limits: ConnectionLimits) { self.limits = limits }

    var count: Int { entries.count }

    /// A new connection under a descriptor ends what was known about the one before.
    mutating func opened(_ connection: Connection, at now: Int64) -> [Ending] {
        serial += 1
        entries[connection.descriptor] = Entry(
            connection: connection, openedAt: now, serial: serial, backlog: Backlog(mostBytes: limits.unreadBytes))
        var endings: [Ending] = []
        if let process = connection.peerProcess {
            let same = oldest { $0.connection.peerProcess == process }
            endings += end(same, beyond: limits.perProcess, because: .tooManyOfProcess)
        }
        endings += end(oldest { !$0.hasSpoken }, beyond: limits.newcomers, because: .tooManyNewcomers)
        // Who has spoken stays; when all have, the newest one goes.
        if entries.values.count(where: { !$0.isEnding }) > limits.total {
            let last = oldest { !$0.hasSpoken }.first ?? connection.descriptor
            endings += end(descriptor: last, because: .tooMany)
        }
        return endings
    }

    /// Everybody who has not spoken goes: there is no descriptor left.
    mutating func giveUpNewcomers() -> [Ending] {
        end(oldest { !$0.hasSpoken }, beyond: 0, because: .noDescriptor)
    }

    mutating func closed(descriptor: Int32) { entries[descriptor] = nil }

    /// A message from a connection was read.
    ///
    /// - Parameter frames: as they came over the connection.
    mutating func spoke(descriptor: Int32, admission: Admission?, frames: some Sequence<Frame>) -> [Ending] {
        guard let entry = entries[descriptor] else { return [] }
        // The last word of a connection that had the descriptor before.
        if let admission, let known = entry.admission, known.number > admission.number { return [] }
        entries[descriptor]?.hasSpoken = true
        entries[descriptor]?.backlog.read(frames)
        guard let admission, entry.admission != admission else { return [] }
        entries[descriptor]?.admission = admission
        return end(oldest { $0.user == admission.user }, beyond: limits.perUser, because: .tooManyOfUser)
    }

    /// Everything that has come was read.
    mutating func drained() {
        for descriptor in entries.keys { entries[descriptor]?.backlog.drain() }
    }

    /// - Parameter receivedBytes: of a connection, as `Connection.receivedBytes`.
    mutating func look(at now: Int64, receivedBytes: (Connection) -> UInt64?) -> [Ending] {
        var endings: [Ending] = []
        for (descriptor, entry) in entries where !entry.isEnding {
            if !entry.hasSpoken, now - entry.openedAt > limits.silenceMilliseconds {
                endings += end(descriptor: descriptor, because: .saidNothing)
            } else if entries[descriptor]?.backlog.isTooLarge(received: receivedBytes(entry.connection)) ?? false {
                endings += end(descriptor: descriptor, because: .tooMuchUnread)
            }
        }
        return endings
    }

    /// The one that has been there longest comes first.
    private func oldest(where isWanted: (Entry) -> Bool) -> [Int32] {
        entries.filter { !$0.value.isEnding && isWanted($0.value) }.sorted { $0.value.serial < $1.value.serial }
            .map(\.key)
    }

    private mutating func end(
        _ descriptors: [Int32], beyond limit: Int, because reason: ConnectionLimiter.Reason
    ) -> [Ending] {
        descriptors.prefix(max(0, descriptors.count - limit)).flatMap { end(descriptor: $0, because: reason) }
    }

    private mutating func end(descriptor: Int32, because reason: ConnectionLimiter.Reason) -> [Ending] {
        guard let entry = entries[descriptor] else { return [] }
        entries[descriptor]?.isEnding = true
        return [Ending(connection: entry.connection, user: entry.user, reason: reason)]
    }
}
