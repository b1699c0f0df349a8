// SPDX-License-Identifier: GPL-3.0-or-later

/// What one worker has and will get: instances in memory that wait for it, those in flight, and those whose bytes had to
/// leave memory because the worker has its share of the window. Belongs to the courier's thread.
struct WorkerLoad {
    /// In memory.
    private var queued = Queue<Outgoing>()
    private var queuedBytes = 0
    private(set) var inFlightInstances = 0
    private(set) var inFlightBytes = 0
    /// Read again when there is room; sizes are known.
    private var held = Queue<OutboxRow>()
    private var heldBytes = 0
    /// Sizes of instances that were held and are being read, by sequence.
    private var recalled: [Int64: Int] = [:]
    private var recalledBytes = 0

    var queuedCount: Int { queued.count }

    /// Everything that the worker still has to take.
    var bytes: Int { inFlightBytes &+ queuedBytes &+ heldBytes &+ recalledBytes }

    /// One that is larger than the share travels alone.
    func hasRoom(for bytes: Int, share: Int) -> Bool {
        let taken = inFlightBytes &+ queuedBytes
        return taken == 0 || taken &+ bytes <= share
    }

    mutating func queue(_ outgoing: Outgoing) {
        forgetRecalled(outgoing.row.sequence)
        queued.append(outgoing)
        queuedBytes &+= outgoing.payload.count
    }

    mutating func hold(_ outgoing: Outgoing) {
        forgetRecalled(outgoing.row.sequence)
        var row = outgoing.row
        row.sizeBytes = outgoing.payload.count
        held.append(row)
        heldBytes &+= row.sizeBytes
    }

    /// Instances that were held and for which there is room now.
    mutating func recall(share: Int) -> [OutboxRow] {
        var rows: [OutboxRow] = []
        while let row = held.first(), recalledBytes == 0 || hasRoom(for: recalledBytes &+ row.sizeBytes, share: share),
            hasRoom(for: row.sizeBytes, share: share)
        {
            _ = held.popFirst()
            heldBytes &-= row.sizeBytes
            recalled[row.sequence] = row.sizeBytes
            recalledBytes &+= row.sizeBytes
            rows.append(row)
        }
        return rows
    }

    mutating func forgetRecalled(_ sequence: Int64) {
        if let bytes = recalled.removeValue(forKey: sequence) { recalledBytes &-= bytes }
    }

    /// The next instance to send, if more than `limit` bytes are not in flight with it.
    mutating func next(limit: Int) -> Outgoing? {
        guard let next = queued.first() else { return nil }
        return inFlightInstances == 0 || inFlightBytes &+ next.payload.count <= limit ? next : nil
    }

    /// What `next` gave was sent.
    mutating func launch() {
        guard let sent = queued.popFirst() else { return }
        queuedBytes &-= sent.payload.count
        inFlightInstances &+= 1
        inFlightBytes &+= sent.payload.count
    }

    /// An instance that was in flight is acknowledged.
    mutating func land(bytes: Int) {
        inFlightInstances &-= 1
        inFlightBytes &-= bytes
    }

    /// Gives everything up.
    ///
    /// - Returns: what waited in memory, and what was held.
    mutating func clear() -> (queued: [Outgoing], held: [OutboxRow]) {
        var waiting: [Outgoing] = []
        var rows: [OutboxRow] = []
        while let next = queued.popFirst() { waiting.append(next) }
        while let next = held.popFirst() { rows.append(next) }
        self = WorkerLoad()
        return (waiting, rows)
    }
}
