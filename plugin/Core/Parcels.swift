// SPDX-License-Identifier: GPL-3.0-or-later
import Wire

// The stations of an instance on the courier's thread.

/// An instance in memory that waits for credit. Its bytes are reserved in the window.
struct Outgoing {
    var row: OutboxRow
    var payload: Payload
    var reservedBytes: Int
    /// The routing rule that handed it over; nil before the rules were asked, and when there are none.
    var rule: String?
    /// StudyInstanceUID; empty where nobody had to know it.
    var study = ""
}

/// An instance that the archivist is reading back.
struct Reading {
    var row: OutboxRow
    var reservedBytes: Int
}

/// An instance that a worker has not acknowledged yet.
struct InFlight {
    var instance: GatewayInstanceID
    /// Index of the link it was sent over.
    var link: Int
    /// StudyInstanceUID; empty where nobody had to know it.
    var study: String
    var sentBytes: Int
    var sentAtSteadyMilliseconds: Int64
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
