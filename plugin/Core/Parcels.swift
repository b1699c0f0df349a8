// SPDX-License-Identifier: GPL-3.0-or-later
import Wire
import ZeroMQ

// The stations of an instance on the courier's thread.

/// An instance in memory that waits for credit. Its bytes are reserved in the window.
struct Outgoing {
    var row: OutboxRow
    var payload: Payload?
    /// Made at the first attempt to send, kept for the next one.
    var frame: Frame?
    var reservedBytes: Int
    /// The routing rule that handed it over; nil before the rules were asked, and when there are none.
    var rule: String?

    init(row: OutboxRow, payload: Payload, reservedBytes: Int) {
        self.row = row
        self.payload = payload
        self.reservedBytes = reservedBytes
    }
}

/// An instance that the archivist is reading back.
struct Reading {
    var row: OutboxRow
    var reservedBytes: Int
}

/// An instance that a worker has not acknowledged yet.
struct InFlight {
    var sentBytes: Int
    var reservedBytes: Int
    var rule: String?
}

/// What a worker asks for again.
struct FetchRequest {
    var link: Int
    var request: Int64
    var instance: GatewayInstanceID
}

/// What was read for it.
struct FetchAnswer {
    var link: Int
    var request: Int64
    var instance: GatewayInstanceID
    var result: Host.ReadResult
}
