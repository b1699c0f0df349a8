// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import Foundation
import GRDB
import ModelPackage
import Rounds

/// Deltas come in on one thread; these calls belong to it.
extension HubStore {
    /// What is known about a delta; nil when it was never offered.
    public func delta(round: Int, site: String, hash: Hash) throws -> ReceivedDelta? {
        try pool.read { try Self.delta($0, round, site, hash) }
    }

    /// Makes a delta the one that its site is sending for the round, or goes on where it was left.
    ///
    /// - Returns: the delta with the bytes that count.
    public func beginDelta(_ manifest: DeltaManifest, from site: String, atMilliseconds now: Int64) throws
        -> ReceivedDelta
    {
        let file = upload(round: manifest.round, site: site)
        let delta = try pool.write { db in
            if try !Self.isBeingReceived(db, manifest, site) {
                try db.execute(
                    sql: "UPDATE cohort SET offers = offers + 1 WHERE round = ? AND site = ?",
                    arguments: [manifest.round, site])
            }
            try db.execute(
                sql: """
                    UPDATE delta SET state = 'superseded', received = 0, changed_at_ms = ?
                    WHERE round = ? AND site = ? AND state = 'receiving' AND hash <> ?
                    """, arguments: [now, manifest.round, site, manifest.hash.hex])
            // The manifest is taken anew: a size or weight that was wrong may have been put right.
            try db.execute(
                sql: """
                    INSERT INTO delta
                        (round, site, hash, state, bytes, received, examples, manifest, changed_at_ms)
                    VALUES (?, ?, ?, 'receiving', ?, 0, ?, ?, ?)
                    ON CONFLICT (round, site, hash) DO UPDATE SET state = 'receiving', refusal = NULL,
                        bytes = excluded.bytes, examples = excluded.examples, manifest = excluded.manifest,
                        received = CASE WHEN state = 'receiving' AND bytes = excluded.bytes THEN received ELSE 0 END,
                        changed_at_ms = excluded.changed_at_ms
                    """,
                arguments: [
                    manifest.round, site, manifest.hash.hex, manifest.bytes, manifest.examples,
                    try Self.json(manifest), now,
                ])
            return try Self.delta(db, manifest.round, site, manifest.hash)
        }
        guard let delta else { throw DatabaseError(message: "the delta that was just written is gone") }
        let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        // A crash while the delta was being accepted leaves it without its upload file: it comes again.
        let received = Int(status.st_size) < delta.received ? 0 : delta.received
        // What the file has beyond the row was never acknowledged and may not be whole.
        guard ftruncate(descriptor, off_t(received)) == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
        }
        if received == delta.received { return delta }
        return try pool.write { db in
            try db.execute(
                sql: "UPDATE delta SET received = ? WHERE round = ? AND site = ? AND hash = ?",
                arguments: [received, manifest.round, site, manifest.hash.hex])
            return try Self.delta(db, manifest.round, site, manifest.hash) ?? delta
        }
    }

    /// Puts a piece behind the bytes that are here; on disk when the call returns.
    ///
    /// - Precondition: the piece fits: `delta.received + bytes.count ≤ delta.manifest.bytes`.
    public func appendToDelta(_ delta: ReceivedDelta, _ bytes: Data, atMilliseconds now: Int64) throws
        -> ReceivedDelta
    {
        precondition(delta.received + bytes.count <= delta.manifest.bytes, "a piece beyond the delta's end")
        let handle = try FileHandle(forWritingTo: upload(round: delta.round, site: delta.site))
        defer { try? handle.close() }
        try handle.seek(toOffset: UInt64(delta.received))
        try handle.write(contentsOf: bytes)
        try handle.synchronize()
        return try pool.write { db in
            try db.execute(
                sql: """
                    UPDATE delta SET received = received + ?, changed_at_ms = ?
                    WHERE round = ? AND site = ? AND hash = ? AND state = 'receiving' AND received = ?
                    """,
                arguments: [bytes.count, now, delta.round, delta.site, delta.hash.hex, delta.received])
            // Another process may have revoked the site meanwhile; then the state says so.
            return try Self.delta(db, delta.round, delta.site, delta.hash) ?? delta
        }
    }

    /// Where the bytes of a delta that is coming in are.
    public func upload(round: Int, site: String) -> URL { uploads.appending(path: "\(round)-\(site)") }

    /// Makes a complete and checked delta a contribution, once.
    ///
    /// - Returns: nil when it counts now, else why it cannot: the round was closed or the site revoked meanwhile.
    public func acceptDelta(_ delta: ReceivedDelta, atMilliseconds now: Int64) throws -> DeltaRefusal? {
        // File first: a contribution's file is always there. A crash in between leaves a file without a row, and the
        // delta is sent again.
        try deltas.adopt(upload(round: delta.round, site: delta.site), as: delta.hash)
        return try pool.write { db in
            guard let round = try Self.round(db, delta.round) else { return .unknownRound }
            guard round.state == .open else { return .roundClosed }
            guard round.cohort.contains(delta.site) else { return .notInCohort }
            guard round.contributions[delta.site] == nil else { return .repeatedRound }
            try db.execute(
                sql: "UPDATE delta SET state = 'accepted', changed_at_ms = ? WHERE round = ? AND site = ? AND hash = ?",
                arguments: [now, delta.round, delta.site, delta.hash.hex])
            try db.execute(
                sql: "INSERT INTO contribution (round, site, hash, examples, accepted_at_ms) VALUES (?, ?, ?, ?, ?)",
                arguments: [delta.round, delta.site, delta.hash.hex, delta.manifest.examples, now])
            try AuditLog.append(
                db, event: "delta-accepted",
                detail: [
                    "round": String(delta.round), "site": delta.site, "delta": delta.hash.hex,
                    "examples": String(delta.manifest.examples), "bytes": String(delta.manifest.bytes),
                ], atMilliseconds: now)
            return nil
        }
    }

    /// Counts a refusal; the first of its kind for a site and round is also in the audit log.
    ///
    /// - Parameters:
    ///   - site: empty for somebody who is not enrolled.
    ///   - round: as the site said it; a round that does not exist is counted as 0.
    ///   - delta: one whose bytes had begun to come; it is marked and its bytes are deleted.
    public func refuse(
        site: String, round: Int, reason: String, delta: ReceivedDelta? = nil, count: Int = 1, atMilliseconds now: Int64
    ) throws {
        try pool.write { db in
            if let delta {
                try db.execute(
                    sql: """
                        UPDATE delta SET state = 'refused', refusal = ?, received = 0, changed_at_ms = ?
                        WHERE round = ? AND site = ? AND hash = ? AND state = 'receiving'
                        """, arguments: [reason, now, delta.round, delta.site, delta.hash.hex])
            }
            try Self.count(
                db, site: site, round: round, reason: reason, count, delta.map { ["delta": $0.hash.hex] } ?? [:], now)
        }
        if let delta { try? FileManager.default.removeItem(at: upload(round: delta.round, site: delta.site)) }
    }

    /// - Parameter detail: for the audit log.
    static func count(
        _ db: Database, site: String, round: Int, reason: String, _ count: Int, _ detail: [String: String], _ now: Int64
    ) throws {
        let known = try Int.fetchOne(db, sql: "SELECT number FROM round WHERE number = ?", arguments: [round]) ?? 0
        let before = try Int.fetchOne(
            db, sql: "SELECT count FROM refusal WHERE site = ? AND round = ? AND reason = ?",
            arguments: [site, known, reason])
        try db.execute(
            sql: """
                INSERT INTO refusal (site, round, reason, count, last_at_ms) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (site, round, reason)
                DO UPDATE SET count = count + excluded.count, last_at_ms = excluded.last_at_ms
                """, arguments: [site, known, reason, count, now])
        // A peer that is refused again and again must not be able to fill the audit log.
        if before != nil { return }
        try AuditLog.append(
            db, event: "refused",
            detail: ["site": site, "round": String(round), "reason": reason].merging(detail) { $1 },
            atMilliseconds: now)
    }

    /// How often what was refused, by site and reason.
    public func refusals() throws -> [RefusalCount] {
        try pool.read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT site, reason, sum(count) AS count, max(last_at_ms) AS last_at_ms FROM refusal
                    GROUP BY site, reason ORDER BY site, reason
                    """
            ).map {
                RefusalCount(
                    site: $0["site"], reason: $0["reason"], count: $0["count"], lastAtMilliseconds: $0["last_at_ms"])
            }
        }
    }

    /// Bytes of the deltas that are coming in, by round and site: what a status page shows between 0 and 100 %.
    public func receiving(round: Int) throws -> [ReceivedDelta] {
        try pool.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM delta WHERE round = ? AND state = 'receiving' ORDER BY site", arguments: [round]
            ).map(ReceivedDelta.init(row:))
        }
    }

    /// Removes what a crash left half written. Call at start, before anything is written.
    public func sweepAtStart() throws {
        let files = FileManager.default
        for name in try files.contentsOfDirectory(atPath: work.path) {
            try files.removeItem(at: work.appending(path: name))
        }
        try sweepDeltas()
    }

    /// Deletes the deltas of rounds that are over: they are kept no longer than they are needed.
    public func sweepDeltas() throws {
        let (hashes, files) = try pool.read { db in
            (
                try Set(
                    String.fetchAll(
                        db,
                        sql: """
                            SELECT hash FROM contribution JOIN round ON round.number = contribution.round
                            WHERE round.state IN ('open', 'aggregating')
                            """)),
                try Set(
                    Row.fetchAll(
                        db,
                        sql: """
                            SELECT delta.round, delta.site FROM delta JOIN round ON round.number = delta.round
                            WHERE round.state = 'open' AND delta.state = 'receiving'
                            """
                    ).map { "\($0["round"] as Int)-\($0["site"] as String)" })
            )
        }
        try deltas.keepOnly(hashes)
        for name in try FileManager.default.contentsOfDirectory(atPath: uploads.path) where !files.contains(name) {
            try FileManager.default.removeItem(at: uploads.appending(path: name))
        }
    }

    private static func delta(_ db: Database, _ round: Int, _ site: String, _ hash: Hash) throws -> ReceivedDelta? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM delta WHERE round = ? AND site = ? AND hash = ?",
            arguments: [round, site, hash.hex]
        ).map(ReceivedDelta.init(row:))
    }
}
