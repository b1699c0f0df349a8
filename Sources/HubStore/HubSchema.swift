// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import GRDB

/// The tables of `hub.sqlite`. Migrations are named and never edited after a release.
enum HubSchema {
    static func migrate(_ pool: DatabasePool) throws {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1-skeleton") { db in
            try db.execute(sql: skeleton)
            try AuditLog.migrate(db)
        }
        migrator.registerMigration("2-fair-rounds") { db in try db.execute(sql: fairRounds) }
        migrator.registerMigration("audit-witnesses") { try AuditWitnesses.migrate($0) }
        if try pool.read(migrator.hasBeenSuperseded) { throw HubStoreError.newerSchema(pool.path) }
        try migrator.migrate(pool)
    }

    /// Times are Unix milliseconds in UTC, hashes are 64 hexadecimal digits.
    private static let skeleton = """
        CREATE TABLE setting (
            key TEXT PRIMARY KEY,
            value TEXT NOT NULL                 -- JSON
        ) STRICT;
        CREATE TABLE site (
            name TEXT PRIMARY KEY,
            public_key TEXT NOT NULL UNIQUE,
            enrolled_at_ms INTEGER NOT NULL,
            revoked_at_ms INTEGER,
            last_seen_ms INTEGER,
            state TEXT                          -- the last SiteState as JSON
        ) STRICT;
        CREATE TABLE model (
            package TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            manifest TEXT NOT NULL,             -- gantry.json
            added_at_ms INTEGER NOT NULL,
            current_version TEXT NOT NULL REFERENCES version (id) DEFERRABLE INITIALLY DEFERRED
        ) STRICT;
        CREATE TABLE package_file (
            package TEXT NOT NULL REFERENCES model (package),
            path TEXT NOT NULL,
            hash TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            PRIMARY KEY (package, path)
        ) STRICT;
        CREATE TABLE version (
            id TEXT PRIMARY KEY,
            package TEXT NOT NULL REFERENCES model (package) DEFERRABLE INITIALLY DEFERRED,
            number INTEGER NOT NULL,            -- 0 is the package's own
            parameters TEXT NOT NULL,
            parameters_bytes INTEGER NOT NULL,
            parent TEXT REFERENCES version (id),
            round INTEGER UNIQUE REFERENCES round (number),
            created_at_ms INTEGER NOT NULL,
            UNIQUE (package, number)
        ) STRICT;
        CREATE TABLE round (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            package TEXT NOT NULL REFERENCES model (package),
            base TEXT NOT NULL REFERENCES version (id),
            state TEXT NOT NULL,
            quorum INTEGER NOT NULL,
            opened_at_ms INTEGER NOT NULL,
            deadline_ms INTEGER NOT NULL,
            extensions_used INTEGER NOT NULL DEFAULT 0,
            config TEXT NOT NULL,               -- RoundConfig as JSON
            ended_at_ms INTEGER,
            reason TEXT                         -- why it is void
        ) STRICT;
        CREATE UNIQUE INDEX round_one_at_a_time ON round (package) WHERE state IN ('open', 'aggregating');
        CREATE TABLE cohort (
            round INTEGER NOT NULL REFERENCES round (number),
            site TEXT NOT NULL REFERENCES site (name),
            PRIMARY KEY (round, site)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE delta (
            round INTEGER NOT NULL REFERENCES round (number),
            site TEXT NOT NULL REFERENCES site (name),
            hash TEXT NOT NULL,
            state TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            received INTEGER NOT NULL,          -- bytes that are durably in the upload file
            examples INTEGER NOT NULL,
            manifest TEXT NOT NULL,             -- DeltaManifest as JSON
            refusal TEXT,
            changed_at_ms INTEGER NOT NULL,
            PRIMARY KEY (round, site, hash)
        ) STRICT;
        CREATE TABLE contribution (
            round INTEGER NOT NULL,
            site TEXT NOT NULL,
            hash TEXT NOT NULL,
            examples INTEGER NOT NULL,
            accepted_at_ms INTEGER NOT NULL,
            PRIMARY KEY (round, site),
            FOREIGN KEY (round, site, hash) REFERENCES delta (round, site, hash)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE refusal (
            site TEXT NOT NULL,                 -- empty: nobody who is enrolled
            round INTEGER NOT NULL,             -- 0: none that exists
            reason TEXT NOT NULL,
            count INTEGER NOT NULL,
            last_at_ms INTEGER NOT NULL,
            PRIMARY KEY (site, round, reason)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE version_report (
            version TEXT NOT NULL REFERENCES version (id),
            site TEXT NOT NULL REFERENCES site (name),
            decision TEXT NOT NULL,
            held_out_labels INTEGER NOT NULL,
            candidate_auc REAL,
            live_auc REAL,
            reported_at_ms INTEGER NOT NULL,
            PRIMARY KEY (version, site)
        ) STRICT, WITHOUT ROWID;
        """

    /// What one site says is counted once, bounded, and goes when its round goes.
    private static let fairRounds = """
        -- What the site had said about its labels when the round opened, see LabelCount.
        ALTER TABLE cohort ADD COLUMN training_labels INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE cohort ADD COLUMN total_labels INTEGER NOT NULL DEFAULT 0;
        -- Deltas that it began to send anew.
        ALTER TABLE cohort ADD COLUMN offers INTEGER NOT NULL DEFAULT 0;
        -- Why a screen kept its delta out.
        ALTER TABLE cohort ADD COLUMN out_of_line TEXT;

        -- Labels that are not new any more: LabelCount.total of the last round with a new version that the site gave to.
        CREATE TABLE counted_labels (
            site TEXT NOT NULL REFERENCES site (name),
            package TEXT NOT NULL REFERENCES model (package),
            labels INTEGER NOT NULL,
            PRIMARY KEY (site, package)
        ) STRICT, WITHOUT ROWID;

        -- How often the decision has changed, 1 with the first.
        ALTER TABLE version_report ADD COLUMN changes INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE version_report ADD COLUMN reason TEXT;
        ALTER TABLE version_report ADD COLUMN candidate_sensitivity REAL;
        ALTER TABLE version_report ADD COLUMN live_sensitivity REAL;
        ALTER TABLE version_report ADD COLUMN candidate_specificity REAL;
        ALTER TABLE version_report ADD COLUMN live_specificity REAL;
        ALTER TABLE version_report ADD COLUMN candidate_flagged REAL;
        ALTER TABLE version_report ADD COLUMN live_flagged REAL;
        ALTER TABLE version_report ADD COLUMN recent_studies INTEGER;

        -- Rounds whose rows are gone.
        ALTER TABLE model ADD COLUMN forgotten_closed INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE model ADD COLUMN forgotten_void INTEGER NOT NULL DEFAULT 0;
        """
}
