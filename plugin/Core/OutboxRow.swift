// SPDX-License-Identifier: GPL-3.0-or-later
import Wire

/// An instance that waits in the outbox.
struct OutboxRow: Sendable {
    var sequence: Int64
    var instance: GatewayInstanceID
    /// 0 when it was found in the host's log.
    var sizeBytes: Int
    var receivedAtMilliseconds: Int64
    var callingAETitle: String
}

/// What the worker, or the gateway for an instance that is gone, says about an outbox row.
struct Settlement: Sendable {
    /// The outcome of an instance that a routing rule did not hand over.
    static let routedAway = "routed-away"
    /// The outcome of an instance that the administrator's limit kept from the worker.
    static let tooLarge = "too-large"

    var sequence: Int64
    var instance: GatewayInstanceID
    var outcome: String
    /// Empty when it is not known.
    var studyInstanceUID: String
    var reason: String
    /// The routing rule that decided about it; nil when there are no rules, or when it is not known any more.
    var rule: String?
    /// Nil when the gateway itself settled it.
    var worker: Acknowledger?

    struct Acknowledger: Sendable {
        var name: String
        var receipt: Receipt
    }
}
