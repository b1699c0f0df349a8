// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import GRDB

extension WorkerStore {
    /// Packages wait for approval: where each comes from and what was decided about it. Those that were active before
    /// this existed are taken as approved.
    static func migratePackages(_ db: Database) throws {
        try db.execute(
            sql: """
                ALTER TABLE package ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
                    CHECK (state IN ('waiting', 'approved', 'denied', 'active', 'disabled', 'replaced', 'unlisted'));
                ALTER TABLE package ADD COLUMN origin TEXT NOT NULL DEFAULT 'hub'
                    CHECK (origin IN ('settings', 'command', 'hub'));
                ALTER TABLE package ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
                -- of its files
                ALTER TABLE package ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
                UPDATE package SET state = 'replaced' WHERE active = 0;
                ALTER TABLE package DROP COLUMN active;

                -- 1 when it has flagged studies: a version to go back to
                ALTER TABLE model_version ADD COLUMN was_live INTEGER NOT NULL DEFAULT 0;
                UPDATE model_version SET was_live = 1
                WHERE state = 'live' OR state = 'superseded' AND candidate_auc IS NOT NULL;

                -- The version that the hub offered last, for each package that the hub has offered.
                CREATE TABLE hub_offer (
                    package TEXT PRIMARY KEY REFERENCES package,
                    hub TEXT NOT NULL,
                    parameters TEXT NOT NULL,
                    parameters_bytes INTEGER NOT NULL,
                    round INTEGER NOT NULL,
                    -- sites that have reported about the version, where the hub says so
                    sites_live INTEGER,
                    sites_refused INTEGER,
                    offered_at_ms INTEGER NOT NULL,
                    -- the version that was approved, NULL until then
                    approved_parameters TEXT,
                    approved_round INTEGER NOT NULL DEFAULT 0,
                    -- why it is not installed though approved, or why its version is not taken
                    problem TEXT NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
        for row in try Row.fetchAll(db, sql: "SELECT package, name FROM package WHERE state = 'active'") {
            try AuditLog.append(
                db, event: "package-approved",
                detail: [
                    "package": row["package"], "name": row["name"], "by": "upgrade",
                    "why": "it was live before packages of a hub had to be approved",
                ])
        }
    }
}
