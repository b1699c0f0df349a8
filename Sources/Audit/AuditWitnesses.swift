// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import GRDB

/// What one side of a federation has seen of the other sides' audit logs: an append-only table of heads.
///
/// Whoever owns a log can write a new one that is whole in itself. He cannot change what others have noted of it: a log
/// that no longer contains a head that was shown once was cut off, written anew, or restored from a backup. Each side
/// shows its head with every hello, asks the other for its hash at the last head that it has noted, and compares.
///
/// Call from the database's own queue.
public enum AuditWitnesses {
    /// Why a peer's log is not the one that was seen before.
    public struct Fault: Sendable, Equatable, CustomStringConvertible {
        public let peer: String
        /// What was noted of it.
        public let witnessed: AuditHead
        /// What it says today: its head, or its hash at `witnessed`; nil when it does not say.
        public let found: AuditHead?

        var detail: [String: String] {
            var detail = [
                "peer": peer, "witnessed_entries": String(witnessed.entries), "witnessed_hash": witnessed.hash,
            ]
            if let found {
                detail["found_entries"] = String(found.entries)
                detail["found_hash"] = found.hash
            }
            return detail
        }

        public var description: String {
            let today =
                switch found {
                case nil: "it does not show that entry any more"
                case let found? where found.entries < witnessed.entries: "it has \(found.entries) entries"
                case let found?: "that entry has the hash \(found.hash)"
                }
            return "the audit log of \(peer) had \(witnessed.entries) entries with the hash \(witnessed.hash), and now "
                + "\(today): it was restored from an older copy, cut off or rewritten. Keep both databases as evidence; "
                + "“gantry audit verify” with --against says the same of a file"
        }
    }

    /// Creates the table and its triggers where they are missing. Call inside a migration.
    public static func migrate(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS audit_witness (
                    number INTEGER PRIMARY KEY AUTOINCREMENT,
                    peer TEXT NOT NULL,
                    entries INTEGER NOT NULL,
                    hash TEXT NOT NULL,
                    first_seen_ms INTEGER NOT NULL,
                    -- 1: this head is that of a log which is not the one before
                    fault INTEGER NOT NULL
                ) STRICT;
                CREATE INDEX IF NOT EXISTS audit_witness_of_peer ON audit_witness (peer, number);
                CREATE TRIGGER IF NOT EXISTS audit_witness_no_update BEFORE UPDATE ON audit_witness
                BEGIN SELECT RAISE(ABORT, 'witnesses are append-only'); END;
                CREATE TRIGGER IF NOT EXISTS audit_witness_no_delete BEFORE DELETE ON audit_witness
                BEGIN SELECT RAISE(ABORT, 'witnesses are append-only'); END;
                """)
    }

    /// The last head that was noted of a peer; it is asked about this one.
    public static func latest(_ db: Database, peer: String) throws -> AuditHead? {
        try Row.fetchOne(
            db, sql: "SELECT entries, hash FROM audit_witness WHERE peer = ? ORDER BY number DESC LIMIT 1",
            arguments: [peer]
        ).map { AuditHead(entries: $0["entries"], hash: $0["hash"]) }
    }

    /// What to say to a peer about the own log.
    ///
    /// - Parameter asked: the number of entries that the peer asked about last; nil when it did not.
    public static func statement(_ db: Database, to peer: String, asked: Int?) throws -> AuditStatement {
        let proof = try asked.flatMap { try AuditLog.head(db, at: Int64($0)) }
        return AuditStatement(
            head: try AuditLog.head(db).statement, proof: try proof?.statement,
            asks: try latest(db, peer: peer).map { Int(clamping: $0.entries) }, answers: asked)
    }

    /// Whether what a peer says is all known already, so that nothing has to be written.
    public static func isKnown(_ db: Database, peer: String, _ statement: AuditStatement) throws -> Bool {
        try latest(db, peer: peer) == AuditHead(statement.head)
    }

    /// Compares what a peer says with what was noted of it, and notes its head when it has proved that the log is the one
    /// before, or is not. Without either it is asked again.
    ///
    /// - Returns: what is wrong, once for each time that it happens; it is in the own audit log then, as `event`.
    public static func note(
        _ db: Database, peer: String, _ statement: AuditStatement, event: String, atMilliseconds: Int64
    ) throws -> Fault? {
        let head = AuditHead(statement.head)
        var fault: Fault?
        if let last = try latest(db, peer: peer) {
            if head == last { return nil }
            if head.entries <= last.entries {
                fault = Fault(peer: peer, witnessed: last, found: head)
            } else if statement.answers.map({ Int64($0) }) == last.entries {
                let proof = statement.proof.map { AuditHead($0) }
                if proof != last { fault = Fault(peer: peer, witnessed: last, found: proof) }
            } else {
                return nil
            }
        }
        try db.execute(
            sql: "INSERT INTO audit_witness (peer, entries, hash, first_seen_ms, fault) VALUES (?, ?, ?, ?, ?)",
            arguments: [peer, head.entries, head.hash, atMilliseconds, fault == nil ? 0 : 1])
        if let fault {
            try AuditLog.append(db, event: event, detail: fault.detail, atMilliseconds: atMilliseconds)
        }
        return fault
    }

    /// Peers whose log was found not to be the one before, with the time of the last such finding.
    public static func faults(_ db: Database) throws -> [String: Int64] {
        let rows = try Row.fetchAll(
            db, sql: "SELECT peer, max(first_seen_ms) AS at FROM audit_witness WHERE fault = 1 GROUP BY peer")
        return Dictionary(rows.map { ($0["peer"], $0["at"]) }) { first, _ in first }
    }

    /// Everything that was noted of a peer, oldest first; of all peers for nil.
    public static func all(_ db: Database, peer: String? = nil) throws -> [(peer: String, head: AuditHead)] {
        guard try db.tableExists("audit_witness") else { return [] }
        return try Row.fetchAll(
            db, sql: "SELECT peer, entries, hash FROM audit_witness WHERE ? IS NULL OR peer = ? ORDER BY number",
            arguments: [peer, peer]
        ).map { ($0["peer"], AuditHead(entries: $0["entries"], hash: $0["hash"])) }
    }
}
