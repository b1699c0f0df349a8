// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

/// A delta in the outbox: the site's part in one round.
public struct DeltaRow: Sendable, Equatable {
    public var package: String
    public var round: Int
    /// SHA-256 of the file in `WorkerStore.deltas`.
    public var hash: String
    /// What is offered to the hub, as JSON.
    public var manifest: String
    public var state: State
    /// The hub's reason when refused.
    public var reason: String
    public var lastLabel: Int64
    public var createdAt: Int64

    public enum State: String, Sendable { case created, sending, accepted, refused }

    public init(
        package: String, round: Int, hash: String, manifest: String, state: State = .created, reason: String = "",
        lastLabel: Int64, createdAt: Int64
    ) {
        self.package = package
        self.round = round
        self.hash = hash
        self.manifest = manifest
        self.state = state
        self.reason = reason
        self.lastLabel = lastLabel
        self.createdAt = createdAt
    }

    init(_ row: Row) {
        package = row["package"]
        round = row["round"]
        hash = row["hash"]
        manifest = row["manifest"]
        state = State(rawValue: row["state"]) ?? .refused
        reason = row["reason"]
        lastLabel = row["last_label"]
        createdAt = row["created_at_ms"]
    }
}
