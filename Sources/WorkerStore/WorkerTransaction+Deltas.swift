// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

extension WorkerTransaction {
    public func delta(package: String, round: Int) throws -> DeltaRow? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM delta WHERE package = ? AND round = ?", arguments: [package, round]
        ).map(DeltaRow.init)
    }

    /// Deltas that the hub has neither accepted nor refused, oldest round first.
    public func deltasToSend() throws -> [DeltaRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM delta WHERE state IN ('created', 'sending') ORDER BY round").map(
            DeltaRow.init)
    }

    /// Gives up the deltas of a package that the hub has not answered for, since a later one takes their place: a hub that
    /// opens rounds and takes nothing does not fill the disk.
    ///
    /// - Returns: the hashes of their files.
    public func supersedeDeltas(package: String) throws -> [String] {
        let old = try deltasToSend().filter { $0.package == package }
        for var delta in old {
            (delta.state, delta.reason) = (.refused, "superseded")
            try save(delta)
        }
        return old.map(\.hash)
    }

    /// Rounds that a package has taken part in with success.
    public func acceptedDeltas(package: String) throws -> Int {
        try Int.fetchOne(
            db, sql: "SELECT COUNT(*) FROM delta WHERE package = ? AND state = 'accepted'", arguments: [package]) ?? 0
    }

    /// Adds a delta or changes its state, with an audit entry for each step.
    public func save(_ delta: DeltaRow) throws {
        try db.execute(
            sql: """
                INSERT INTO delta (package, round, hash, manifest, state, reason, last_label, created_at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (package, round) DO UPDATE SET state = excluded.state, reason = excluded.reason
                """,
            arguments: [
                delta.package, delta.round, delta.hash, delta.manifest, delta.state.rawValue, delta.reason,
                delta.lastLabel, delta.createdAt,
            ])
        var detail = ["package": delta.package, "round": String(delta.round), "hash": delta.hash]
        if !delta.reason.isEmpty { detail["reason"] = delta.reason }
        try audit("delta-\(delta.state.rawValue)", detail)
    }
}
