// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// gateway.sqlite. Migrations are never edited after a release; a new one goes to the end.
enum Schema {
    /// One entry for each version of the schema, in order.
    static let migrations: [String] = [
        """
        -- One row: our own receipts, see ReceiptBook, and how many transactions were committed, see Store+Damage. The
        -- first table, so that it lies at the file's beginning.
        CREATE TABLE receipt_book (
            one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, serial INTEGER NOT NULL,
            voids TEXT NOT NULL, commits INTEGER NOT NULL) STRICT;
        -- Instances that no worker has acknowledged. AUTOINCREMENT: a number is never used twice.
        CREATE TABLE outbox (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, instance TEXT NOT NULL UNIQUE, size_bytes INTEGER NOT NULL,
            received_at_ms INTEGER NOT NULL, calling_ae_title TEXT NOT NULL,
            -- Known for an instance that was acknowledged before and given back.
            study INTEGER) STRICT;
        CREATE INDEX outbox_by_study ON outbox (study) WHERE study IS NOT NULL;
        -- Acknowledged instances that the host's log has not told us about yet: it must not bring them again.
        CREATE TABLE seen (instance TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        -- study_instance_uid is null for an instance from which the worker could not read it. worker and worker_state:
        -- whose the study is, see Store+Ownership; empty until an instance is acknowledged.
        CREATE TABLE study (
            id INTEGER PRIMARY KEY, study_instance_uid TEXT UNIQUE, gateway_study TEXT, instance TEXT NOT NULL,
            arrived_at_ms INTEGER NOT NULL, worker TEXT NOT NULL DEFAULT '',
            worker_state TEXT NOT NULL DEFAULT '') STRICT;
        CREATE INDEX study_by_gateway_study ON study (gateway_study);
        CREATE INDEX study_by_worker_state ON study (worker_state);
        CREATE INDEX study_without_uid ON study (instance) WHERE study_instance_uid IS NULL;
        CREATE INDEX study_unresolved ON study (id) WHERE gateway_study IS NULL;
        -- What became of each instance, with what the outbox needs when it is given back. worker_state and serial are
        -- the receipt of the worker that acknowledged it; empty when the gateway itself settled it.
        CREATE TABLE outcome (
            instance TEXT PRIMARY KEY, study INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
            at_ms INTEGER NOT NULL, worker_state TEXT NOT NULL, serial INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
            received_at_ms INTEGER NOT NULL, calling_ae_title TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX outcome_by_study ON outcome (study);
        CREATE INDEX outcome_by_receipt ON outcome (worker_state, serial);
        CREATE TABLE flag (
            flag TEXT PRIMARY KEY, study INTEGER NOT NULL, revision INTEGER NOT NULL, shown_revision INTEGER NOT NULL,
            instance TEXT NOT NULL, state TEXT NOT NULL, urgency TEXT NOT NULL, urgency_rank INTEGER NOT NULL,
            probability REAL NOT NULL, model_version TEXT NOT NULL, first_flagged_at_ms INTEGER NOT NULL,
            flagged_at_ms INTEGER NOT NULL,
            -- Instances it speaks about, and how many model versions read the study.
            instances INTEGER NOT NULL, model_versions INTEGER NOT NULL, json TEXT NOT NULL,
            -- PatientID; empty when the study has none.
            patient TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX flag_by_patient ON flag (patient, study) WHERE patient <> '';
        CREATE INDEX flag_by_study ON flag (study);
        CREATE INDEX flag_by_time ON flag (flagged_at_ms);
        CREATE INDEX flag_by_urgency ON flag (urgency);
        CREATE INDEX flag_to_show ON flag (flag) WHERE shown_revision < revision;
        CREATE TABLE review (
            review TEXT PRIMARY KEY, study INTEGER NOT NULL, at_ms INTEGER NOT NULL, state TEXT NOT NULL,
            reason TEXT NOT NULL, json TEXT NOT NULL, worker_state TEXT NOT NULL DEFAULT '',
            serial INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
        CREATE INDEX review_by_study ON review (study);
        CREATE INDEX review_by_receipt ON review (worker_state, serial);
        CREATE INDEX review_pending ON review (at_ms) WHERE state = 'pending';
        -- How often each outcome was committed, so that the status need not count rows.
        CREATE TABLE tally (outcome TEXT PRIMARY KEY, instances INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        -- How often each reason was given for an outcome, and how often each routing rule matched.
        CREATE TABLE reason_tally (
            outcome TEXT NOT NULL, reason TEXT NOT NULL, instances INTEGER NOT NULL,
            PRIMARY KEY (outcome, reason)) STRICT, WITHOUT ROWID;
        CREATE TABLE rule_tally (rule TEXT PRIMARY KEY, instances INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        -- Objects about studies, made by the worker; the file is kept until the host has stored it.
        CREATE TABLE result (
            object TEXT PRIMARY KEY, study_instance_uid TEXT NOT NULL, kind TEXT NOT NULL, flag TEXT NOT NULL,
            state TEXT NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL, file BLOB NOT NULL) STRICT;
        CREATE INDEX result_by_state ON result (state);
        CREATE INDEX result_due ON result (at_ms) WHERE state = 'due';
        CREATE INDEX result_by_flag ON result (flag);
        CREATE INDEX result_by_study ON result (study_instance_uid);
        -- Stored results on their way to other nodes, see the setting ResultTargets.
        CREATE TABLE result_send (
            target TEXT NOT NULL, object TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
            attempts INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (target, object)) STRICT, WITHOUT ROWID;
        CREATE INDEX result_send_due ON result_send (target, attempts, at_ms) WHERE state = 'due';
        CREATE INDEX result_send_state ON result_send (target, state);
        -- Positions in the host's log: see Store+Log.
        CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        -- The states of the workers that have acknowledged something. A worker begins a new one with a new database.
        CREATE TABLE worker (state TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX worker_by_name ON worker (name);
        """
    ]

    /// Brings the database to the newest version.
    ///
    /// - Throws: `SQLiteError`, also as `verify` does.
    static func migrate(_ database: Connection) throws(SQLiteError) {
        try verify(database)
        let found = try database.first("PRAGMA user_version") { $0.integer(0) } ?? 0
        for (index, migration) in migrations.enumerated() where Int64(index) >= found {
            try database.transaction { () throws(SQLiteError) in
                try database.execute(migration)
                if index == 0 {
                    try database.run(
                        "INSERT INTO receipt_book (one, state, serial, voids, commits) VALUES (1, ?, 0, '', 1)",
                        .text(Shared.randomHex()))
                    // After a database was set aside, numbers go on above those that the worker has seen.
                    try database.run(
                        "INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)",
                        .integer(Clock.nowMilliseconds()))
                }
                try database.execute("PRAGMA user_version = \(index &+ 1)")
            }
        }
    }

    // MARK: Somebody else's schema

    private struct Object: Equatable {
        var table: String
        var sql: String
    }

    /// Tables and indexes of each version by name, from 0 on. Empty when memory is exhausted.
    private static let known: [[String: Object]] = {
        guard let database = try? Connection(path: ":memory:") else { return [] }
        var known: [[String: Object]] = [[:]]
        for migration in migrations {
            guard (try? database.execute(migration)) != nil, let objects = try? objects(in: database) else { return [] }
            known.append(objects)
        }
        return known
    }()

    private static func objects(in database: Connection) throws(SQLiteError) -> [String: Object] {
        let rows = try database.rows(
            "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL"
        ) { ($0.text(0) ?? "", Object(table: $0.text(1) ?? "", sql: $0.text(2) ?? "")) }
        return Dictionary(rows.filter { !$0.0.hasPrefix("sqlite_") }, uniquingKeysWith: { first, _ in first })
    }

    /// A schema is a program: a generated column or an index may call any function on any stored text, in the thread
    /// that reads or writes. So what the file says about our tables must be our own words before a table is touched.
    /// Tables of others are left alone, views and triggers are switched off (see `Connection`).
    ///
    /// - Throws: `SQLiteError`, of damage when somebody changed the schema; also for a file of a newer Gantry.
    static func verify(_ database: Connection) throws(SQLiteError) {
        let version = try database.first("PRAGMA user_version") { $0.integer(0) } ?? 0
        guard !known.isEmpty else { throw SQLiteError(code: SQLiteError.noMemory, text: "memory is exhausted") }
        guard version >= 0, version < Int64(known.count) else {
            throw SQLiteError(
                code: 1,
                text: "the database has schema \(version), this Gantry knows up to \(migrations.count): install a "
                    + "newer Gantry, or name another StateDirectory")
        }
        let expected = known.dropFirst(Int(clamping: version)).first ?? [:]
        let tables = Set(known.flatMap { $0.values.map(\.table) })
        let found = try objects(in: database).filter { tables.contains($0.value.table) }
        guard found != expected else { return }
        let names = Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }
        throw SQLiteError(
            code: SQLiteError.damage,
            text: "its schema is not Gantry's: \(names.sorted().prefix(3).joined(separator: ", "))")
    }
}
