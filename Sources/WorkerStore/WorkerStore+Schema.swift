// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import GRDB

extension WorkerStore {
    /// Migrations are never edited after a release; a change is a new one.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("studies-labels-versions") { db in
            try db.execute(sql: receipts)
            try db.execute(sql: studies)
            try db.execute(sql: labels)
            try db.execute(sql: examples)
            try db.execute(sql: models)
            try db.execute(sql: results)
            try db.execute(sql: validations)
            try AuditLog.migrate(db)
        }
        migrator.registerMigration("version-judgements") { db in try db.execute(sql: judgements) }
        migrator.registerMigration("audit-witnesses") { try AuditWitnesses.migrate($0) }
        migrator.registerMigration("packages-wait-for-approval") { try migratePackages($0) }
        return migrator
    }

    private static let receipts = """
        -- One row: the worker's own receipts, see ReceiptBook, and how many transactions were committed, see
        -- WorkerStore+Damage. The first table, so that it lies at the file's beginning.
        CREATE TABLE receipt_book (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            state TEXT NOT NULL,
            serial INTEGER NOT NULL,
            voids TEXT NOT NULL,
            commits INTEGER NOT NULL
        ) STRICT;
        INSERT INTO receipt_book (one, state, serial, voids, commits) VALUES (1, lower(hex(randomblob(16))), 0, '', 1);

        -- The database before this one, when it was set aside.
        CREATE TABLE set_aside (
            path TEXT PRIMARY KEY,
            reason TEXT NOT NULL,
            at_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    private static let studies = """
        CREATE TABLE study (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            gateway_instance TEXT NOT NULL,
            -- 1 while more instances are expected
            open INTEGER NOT NULL,
            held_out INTEGER NOT NULL,
            patient_id TEXT NOT NULL,
            patient_name TEXT NOT NULL,
            birth_date TEXT NOT NULL,
            description TEXT NOT NULL,
            modality TEXT NOT NULL,
            accession_number TEXT NOT NULL,
            study_date TEXT NOT NULL,
            expected_instances INTEGER,
            arrived_at_ms INTEGER NOT NULL,
            last_instance_at_ms INTEGER NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX study_by_uid ON study (study_instance_uid);
        CREATE INDEX study_open ON study (open) WHERE open = 1;
        CREATE INDEX study_accession_number ON study (accession_number) WHERE accession_number <> '';

        CREATE TABLE instance (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            gateway_instance TEXT NOT NULL,
            sop_class_uid TEXT NOT NULL,
            series_instance_uid TEXT NOT NULL,
            -- what it says about the number of instances in its series and in its acquisition
            series_expected INTEGER,
            acquisition INTEGER,
            acquisition_expected INTEGER,
            outcome TEXT NOT NULL,
            reason_name TEXT NOT NULL,
            reason TEXT NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid, sop_instance_uid),
            FOREIGN KEY (gateway, study_instance_uid) REFERENCES study
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX instance_set_aside ON instance (reason_name) WHERE outcome = 'set-aside';

        -- Instances whose UIDs cannot be read, by the gateway's id.
        CREATE TABLE unreadable (
            gateway TEXT NOT NULL,
            gateway_instance TEXT NOT NULL,
            reason_name TEXT NOT NULL,
            reason TEXT NOT NULL,
            PRIMARY KEY (gateway, gateway_instance)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE flag (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            model_version TEXT NOT NULL,
            package TEXT NOT NULL,
            flag TEXT NOT NULL,
            -- reading: nothing to tell yet
            state TEXT NOT NULL CHECK (state IN ('reading', 'preliminary', 'final')),
            revision INTEGER NOT NULL,
            acked_revision INTEGER NOT NULL,
            -- the gateway's receipt for acked_revision
            acked_state TEXT NOT NULL DEFAULT '',
            acked_serial INTEGER NOT NULL DEFAULT 0,
            -- the last report about it that the gateway has
            gateway_report TEXT NOT NULL DEFAULT '',
            document TEXT NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid, model_version),
            UNIQUE (gateway, flag),
            FOREIGN KEY (gateway, study_instance_uid) REFERENCES study
        ) STRICT;
        CREATE INDEX flag_unacked ON flag (revision) WHERE revision > acked_revision;
        CREATE INDEX flag_by_receipt ON flag (acked_state, acked_serial);

        -- Little-endian floats, frame by frame, one for each finding of the package.
        CREATE TABLE frame_score (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            model_version TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            probabilities BLOB NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid, model_version, sop_instance_uid)
        ) STRICT;
        """

    private static let examples = """
        CREATE TABLE example (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            package TEXT NOT NULL,
            file TEXT NOT NULL UNIQUE,
            slices INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('growing', 'ready', 'dropped')),
            created_at_ms INTEGER NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid, package),
            FOREIGN KEY (gateway, study_instance_uid) REFERENCES study
        ) STRICT;
        """

    private static let models = """
        CREATE TABLE package (
            package TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            manifest TEXT NOT NULL,
            -- 0 when another package of the same name took its place
            active INTEGER NOT NULL,
            installed_at_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE model_version (
            model_version TEXT PRIMARY KEY,
            package TEXT NOT NULL REFERENCES package,
            parameters TEXT NOT NULL,
            -- closed rounds that led to it
            round INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('candidate', 'waiting', 'live', 'refused', 'superseded')),
            decided_at_ms INTEGER NOT NULL,
            held_out_labels INTEGER NOT NULL,
            candidate_auc REAL,
            live_auc REAL,
            -- 1 until the hub has noted the decision
            report_due INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX model_version_live ON model_version (package) WHERE state = 'live';

        CREATE TABLE delta (
            package TEXT NOT NULL,
            round INTEGER NOT NULL,
            hash TEXT NOT NULL,
            manifest TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('created', 'sending', 'accepted', 'refused')),
            reason TEXT NOT NULL,
            -- the newest label that was there when training began
            last_label INTEGER NOT NULL,
            created_at_ms INTEGER NOT NULL,
            PRIMARY KEY (package, round)
        ) STRICT;
        """
}
