// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
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
    // The frames are handed from one thread to the next through a Conveyor; only the holder of the delivery touches them.
    let pieces: [Frame]
    let arrival: Arrival

    init(pieces: sending [Frame], arrival: Arrival) {
        self.pieces = pieces
        self.arrival = arrival
    }

    var bytes: Int { pieces.byteCount }
}

extension [Frame] {
    var byteCount: Int { reduce(0) { $0 + $1.count } }

    /// Copies the frames one behind the other, as far as there is room.
    func copy(to room: UnsafeMutableRawBufferPointer) {
        var rest = room[...]
        for frame in self {
            frame.withUnsafeBytes { bytes in
                let part = bytes.prefix(rest.count)
                UnsafeMutableRawBufferPointer(rebasing: rest).copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
                rest = rest.dropFirst(part.count)
            }
        }
    }
}

extension Data {
    /// The bytes of frames, one behind the other.
    init(_ frames: [Frame]) {
        self.init(count: frames.byteCount)
        withUnsafeMutableBytes { frames.copy(to: $0) }
    }
}
