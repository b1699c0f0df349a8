// SPDX-License-Identifier: GPL-3.0-or-later
import Triage
import ZeroMQ

/// Where an instance came from: what the acknowledgement needs.
struct Arrival: Sendable {
    /// The gateway's name from its hello.
    var gateway: String
    var sequence: Int64
    var gatewayInstance: String
    /// Unix milliseconds by the gateway's clock.
    var receivedAt: Int64
    var ticket: ArrivalClock.Ticket
}

/// An instance on its way from the socket to a decoder.
struct Delivery: @unchecked Sendable {
    // The frame is handed from one thread to the next through a Conveyor; only the holder of the delivery touches it.
    let payload: Frame
    let arrival: Arrival

    init(payload: sending Frame, arrival: Arrival) {
        self.payload = payload
        self.arrival = arrival
    }
}
