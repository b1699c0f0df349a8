// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

extension WorkerTransaction {
    // MARK: Packages

    public func package(_ hash: Hash) throws -> PackageRow? {
        try Row.fetchOne(db, sql: "SELECT * FROM package WHERE package = ?", arguments: [hash.hex]).map(PackageRow.init)
    }

    /// Packages that score new studies, by name.
    public func activePackages() throws -> [PackageRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM package WHERE active = 1 ORDER BY name").map(PackageRow.init)
    }

    /// Adds a package; an active one of the same name steps back for it.
    public func install(_ package: PackageRow) throws {
        let replaced = try String.fetchAll(
            db, sql: "SELECT package FROM package WHERE name = ? AND active = 1 AND package <> ?",
            arguments: [package.name, package.package.hex])
        for hash in replaced {
            try db.execute(sql: "UPDATE package SET active = 0 WHERE package = ?", arguments: [hash])
            try audit("package-replaced", ["package": hash, "by": package.package.hex, "name": package.name])
        }
        try db.execute(
            sql: """
                INSERT INTO package (package, name, manifest, active, installed_at_ms) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (package) DO UPDATE SET active = excluded.active
                """,
            arguments: [package.package.hex, package.name, package.manifest, package.isActive, package.installedAt])
        try audit("package-installed", ["package": package.package.hex, "name": package.name])
    }

    // MARK: Versions

    public func version(_ id: Hash) throws -> VersionRow? {
        try Row.fetchOne(db, sql: "SELECT * FROM model_version WHERE model_version = ?", arguments: [id.hex])
            .map(VersionRow.init)
    }

    /// The live versions of active packages, by package name.
    public func liveVersions() throws -> [VersionRow] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT model_version.* FROM model_version JOIN package USING (package)
                WHERE state = 'live' AND active = 1 ORDER BY name
                """
        ).map(VersionRow.init)
    }

    public func liveVersion(package: Hash) throws -> VersionRow? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM model_version WHERE package = ? AND state = 'live'", arguments: [package.hex]
        ).map(VersionRow.init)
    }

    /// The newest version that is not decided finally.
    public func undecidedVersion(package: Hash) throws -> VersionRow? {
        try Row.fetchOne(
            db,
            sql: """
                SELECT * FROM model_version WHERE package = ? AND state IN ('candidate', 'waiting')
                ORDER BY round DESC LIMIT 1
                """, arguments: [package.hex]
        ).map(VersionRow.init)
    }

    /// The last version of a package that was judged against the live one.
    public func lastJudgedVersion(package: Hash) throws -> VersionRow? {
        try Row.fetchOne(
            db,
            sql: """
                SELECT * FROM model_version WHERE package = ? AND state <> 'candidate'
                    AND (candidate_auc IS NOT NULL OR state = 'waiting')
                ORDER BY decided_at_ms DESC, round DESC LIMIT 1
                """, arguments: [package.hex]
        ).map(VersionRow.init)
    }

    public func versionsToReport() throws -> [VersionRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM model_version WHERE report_due = 1 ORDER BY decided_at_ms")
            .map(VersionRow.init)
    }

    /// Adds or changes a version. When it becomes live, the live one before it is superseded, and so is every older
    /// version that was undecided.
    public func save(_ version: VersionRow) throws {
        let package = version.version.package.hex
        if version.state == .live {
            try db.execute(
                sql: """
                    UPDATE model_version SET state = 'superseded', decided_at_ms = ?
                    WHERE package = ? AND model_version <> ?
                        AND (state = 'live' OR state IN ('candidate', 'waiting') AND round < ?)
                    """, arguments: [version.decidedAt, package, version.version.id.hex, version.round])
        }
        try db.execute(
            sql: """
                INSERT INTO model_version (
                    model_version, package, parameters, round, state, decided_at_ms, held_out_labels, candidate_auc,
                    live_auc, report_due)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (model_version) DO UPDATE SET
                    round = excluded.round, state = excluded.state, decided_at_ms = excluded.decided_at_ms,
                    held_out_labels = excluded.held_out_labels, candidate_auc = excluded.candidate_auc,
                    live_auc = excluded.live_auc, report_due = excluded.report_due
                """,
            arguments: [
                version.version.id.hex, package, version.version.parameters.hex, version.round, version.state.rawValue,
                version.decidedAt, version.heldOutLabels, version.candidateAUC, version.liveAUC, version.isReportDue,
            ])
        if version.state == .live || version.state == .refused { try forgetHeldOutScores(package: package) }
    }

    /// Adds a version that nothing is decided about; older ones that wait for a decision are superseded.
    public func addCandidate(_ version: ModelVersion, round: Int, at: Int64) throws {
        try db.execute(
            sql: """
                UPDATE model_version SET state = 'superseded', decided_at_ms = ?, report_due = 0
                WHERE package = ? AND state IN ('candidate', 'waiting')
                """, arguments: [at, version.package.hex])
        try save(VersionRow(version: version, round: round, state: .candidate, decidedAt: at))
    }

    /// The hub has noted this decision; a newer one about the same version stays due.
    public func reported(_ version: VersionRow) throws {
        try db.execute(
            sql: "UPDATE model_version SET report_due = 0 WHERE model_version = ? AND state = ? AND decided_at_ms = ?",
            arguments: [version.version.id.hex, version.state.rawValue, version.decidedAt])
    }
}
