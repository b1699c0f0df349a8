// SPDX-License-Identifier: GPL-3.0-or-later
import Crypto
import Foundation
import GRDB

/// An append-only, hash-chained table of decisions in a GRDB database (`worker.sqlite`, `hub.sqlite`).
///
/// Every entry carries the hash of the one before it, so an entry that was changed, removed or slipped in later breaks
/// the chain from there on. Triggers refuse UPDATE, DELETE and entries out of order, so that a slip of our own cannot
/// do it. Somebody who owns the file can still cut off the end or write a whole new chain: what others have seen of it
/// finds that out (`AuditWitnesses`), and so does the last hash that `verify` gave, kept elsewhere.
///
/// Details are counts, hashes, names of sites, models and accounts: never text from a study. Call from the database's own queue.
public enum AuditLog {
    /// Creates the table and its triggers where they are missing. Call inside a migration or at every start.
    public static func migrate(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS audit_entry (
                    number INTEGER PRIMARY KEY AUTOINCREMENT,
                    at_ms INTEGER NOT NULL,
                    event TEXT NOT NULL,
                    detail TEXT NOT NULL,
                    previous_hash TEXT NOT NULL,
                    hash TEXT NOT NULL
                ) STRICT;
                CREATE TRIGGER IF NOT EXISTS audit_entry_no_update BEFORE UPDATE ON audit_entry
                BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
                CREATE TRIGGER IF NOT EXISTS audit_entry_no_delete BEFORE DELETE ON audit_entry
                BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
                CREATE TRIGGER IF NOT EXISTS audit_entry_in_order BEFORE INSERT ON audit_entry
                WHEN NEW.previous_hash IS NOT coalesce(
                        (SELECT hash FROM audit_entry ORDER BY number DESC LIMIT 1), '\(start)')
                    OR NEW.number <= (SELECT max(number) FROM audit_entry)
                BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
                """)
    }

    /// Adds an entry in the caller's transaction.
    ///
    /// - Parameters:
    ///   - event: a stable name with dashes, for example `version-live`.
    ///   - detail: what it was about.
    ///   - atMilliseconds: Unix time in UTC; nil takes the clock.
    @discardableResult
    public static func append(
        _ db: Database, event: String, detail: [String: String], atMilliseconds: Int64? = nil
    ) throws -> AuditEntry {
        let last = try Row.fetchOne(db, sql: "SELECT number, hash FROM audit_entry ORDER BY number DESC LIMIT 1")
        let at = atMilliseconds ?? Int64((Date().timeIntervalSince1970 * 1000).rounded(.down))
        let number = (last?["number"] as Int64? ?? 0) + 1
        let previous = last?["hash"] as String? ?? start
        let text = try canonical(detail)
        let entry = AuditEntry(
            number: number, atMilliseconds: at, event: event, detail: detail, previousHash: previous,
            hash: hash(number: number, atMilliseconds: at, event: event, detail: text, previousHash: previous))
        try db.execute(
            sql: """
                INSERT INTO audit_entry (number, at_ms, event, detail, previous_hash, hash) VALUES (?, ?, ?, ?, ?, ?)
                """, arguments: [number, at, event, text, previous, entry.hash])
        return entry
    }

    /// The newest entries, newest first.
    public static func newest(_ db: Database, limit: Int) throws -> [AuditEntry] {
        try Row.fetchAll(db, sql: "SELECT * FROM audit_entry ORDER BY number DESC LIMIT ?", arguments: [limit]).map(
            AuditEntry.init(row:))
    }

    /// The last entry's number and hash.
    public static func head(_ db: Database) throws -> AuditHead {
        let row = try Row.fetchOne(db, sql: "SELECT number, hash FROM audit_entry ORDER BY number DESC LIMIT 1")
        return row.map { AuditHead(entries: $0["number"], hash: $0["hash"]) } ?? AuditHead(entries: 0, hash: start)
    }

    /// The head that the log had when it had so many entries; nil when it never had, or has them no more.
    public static func head(_ db: Database, at entries: Int64) throws -> AuditHead? {
        if entries == 0 { return AuditHead(entries: 0, hash: start) }
        return try String.fetchOne(db, sql: "SELECT hash FROM audit_entry WHERE number = ?", arguments: [entries]).map {
            AuditHead(entries: entries, hash: $0)
        }
    }

    /// Walks the whole chain.
    ///
    /// - Parameters:
    ///   - knownHash: a last hash from an earlier check that has to be in the chain still.
    ///   - witnesses: what others have seen of this log.
    /// - Throws: `AuditError` that names the first entry that is not what was written.
    @discardableResult
    public static func verify(
        _ db: Database, knownHash: String? = nil, witnesses: [AuditHead] = []
    ) throws -> AuditSummary {
        guard try db.tableExists("audit_entry") else { throw AuditError.noTable }
        var previous = start
        var number: Int64 = 0
        var known = knownHash == nil
        let witnessed = Dictionary(grouping: witnesses, by: \.entries)
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM audit_entry ORDER BY number")
        while let row = try rows.next() {
            number += 1
            // An owner of the file can put any type and value there; nothing is taken for granted.
            guard let found = Int64.fromDatabaseValue(row["number"]), found == number else {
                throw AuditError.missing(number: number)
            }
            guard let at = Int64.fromDatabaseValue(row["at_ms"]), let event = String.fromDatabaseValue(row["event"]),
                let detail = String.fromDatabaseValue(row["detail"]),
                let before = String.fromDatabaseValue(row["previous_hash"]),
                let stored = String.fromDatabaseValue(row["hash"]), before == previous,
                hash(number: number, atMilliseconds: at, event: event, detail: detail, previousHash: before) == stored
            else { throw AuditError.changed(number: number) }
            if let other = witnessed[number]?.first(where: { $0.hash != stored }) {
                throw AuditError.rewritten(number: number, witnessed: other.hash, found: stored)
            }
            previous = stored
            if stored == knownHash { known = true }
        }
        // SQLite remembers the highest number ever given out, so a cut at the end shows unless that was cut as well.
        let given = try Int64.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'audit_entry'") ?? 0
        if given != number { throw AuditError.missing(number: number + 1) }
        if let longest = witnesses.max(by: { $0.entries < $1.entries }), longest.entries > number {
            throw AuditError.cutOff(entries: number, witnessed: longest.entries)
        }
        if !known, let knownHash { throw AuditError.unknownHash(knownHash) }
        return AuditSummary(entries: Int(number), lastHash: previous)
    }

    /// What stands in a detail for a name that must not: its SHA-256 in hexadecimal.
    public static func hash(of name: String) -> String { hexadecimal(SHA256.hash(data: Data(name.utf8))) }

    /// What the first entry names as its predecessor.
    static let start = String(repeating: "0", count: 64)

    /// Each part with its length, so that no two different entries have the same bytes.
    private static func hash(
        number: Int64, atMilliseconds: Int64, event: String, detail: String, previousHash: String
    ) -> String {
        var digest = SHA256()
        digest.update(data: Data("gantry-audit-1\n".utf8))
        for part in [String(number), String(atMilliseconds), event, detail, previousHash] {
            digest.update(data: Data("\(part.utf8.count):\(part)\n".utf8))
        }
        return hexadecimal(digest.finalize())
    }

    private static func hexadecimal(_ digest: SHA256Digest) -> String {
        digest.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    private static func canonical(_ detail: [String: String]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(detail), as: UTF8.self)
    }
}
