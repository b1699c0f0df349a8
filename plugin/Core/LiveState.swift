// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// What the threads know that is not in the database, for the status.
final class LiveState: Sendable {
    struct Worker: Sendable {
        var endpoint: String
        var name = ""
        var version = ""
        var isConnected = false
        var creditBytes: Int64 = 0
        var heardAtMilliseconds: Int64 = 0
        /// Why nothing is sent to this endpoint; empty when nothing is wrong with it.
        var refusal = ""
        /// Attempts to connect that were refused since start.
        var refusals = 0
        /// Sent and not acknowledged.
        var inFlightInstances = 0
        var inFlightBytes = 0
    }

    struct Snapshot: Sendable {
        var workers: [Worker] = []
        var inFlightInstances = 0
        var inFlightBytes = 0
        var waitingInMemory = 0
        /// JSON from the worker; empty before the first.
        var models = ""
        var messagesNotUnderstood = 0
        var instancesGone = 0
        var readFailures = 0
        var foundInLog = 0
        /// Nil while the database could not be read yet.
        var figures: Store.Figures?
        /// Instances that a worker had acknowledged and that went back to the outbox.
        var givenBack = 0
        /// Flags that workers could not tell as objects, by reason.
        var resultFailures: [String: Int] = [:]
        /// Attempts that failed, by result target, since the start.
        var sendFailures: [String: Int] = [:]
        /// Why the last attempt failed, by result target; without those that went well.
        var sendReasons: [String: String] = [:]
        /// Flags of studies that belong to another worker by now; acknowledged and not kept.
        var foreignFlags = 0
    }

    private let snapshot = Mutex(Snapshot())

    var current: Snapshot { snapshot.withLock { $0 } }

    func update(_ change: (inout Snapshot) -> Void) { snapshot.withLock { change(&$0) } }
}
