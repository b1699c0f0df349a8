// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

extension WorkerTransaction {
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
                WHERE model_version.state = 'live' AND package.state = 'active' ORDER BY name
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

    /// A package's versions, newest first.
    public func versions(package: Hash) throws -> [VersionRow] {
        try Row.fetchAll(
            db, sql: "SELECT * FROM model_version WHERE package = ? ORDER BY round DESC, decided_at_ms DESC",
            arguments: [package.hex]
        ).map(VersionRow.init)
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
                    live_auc, report_due, was_live)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (model_version) DO UPDATE SET
                    round = excluded.round, state = excluded.state, decided_at_ms = excluded.decided_at_ms,
                    held_out_labels = excluded.held_out_labels, candidate_auc = excluded.candidate_auc,
                    live_auc = excluded.live_auc, report_due = excluded.report_due,
                    was_live = max(was_live, excluded.was_live)
                """,
            arguments: [
                version.version.id.hex, package, version.version.parameters.hex, version.round, version.state.rawValue,
                version.decidedAt, version.heldOutLabels, version.candidateAUC, version.liveAUC, version.isReportDue,
                version.state == .live,
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
        // A hub can offer versions for ever; what never flagged anything need not be remembered for ever.
        try db.execute(
            sql: """
                DELETE FROM model_version WHERE package = :package AND was_live = 0
                    AND state IN ('superseded', 'refused') AND report_due = 0 AND model_version NOT IN (
                        SELECT model_version FROM model_version WHERE package = :package AND was_live = 0
                        ORDER BY decided_at_ms DESC, model_version LIMIT :most)
                """, arguments: ["package": version.package.hex, "most": Self.mostVersionsNeverLive])
        try db.execute(
            sql: "DELETE FROM version_judgement WHERE model_version NOT IN (SELECT model_version FROM model_version)")
    }

    /// Versions of a package that never were live and are remembered, so that they are not tried twice.
    private static let mostVersionsNeverLive = 50

    /// Versions of a package that were live before and whose parameters are kept, to go back to.
    private static let mostVersionsToGoBackTo = 8

    /// The parameters whose files are needed: of what is live, waits for a decision or is about to be told, of the last
    /// versions that were live.
    public func parametersToKeep() throws -> Set<Hash> {
        let kept = try String.fetchAll(
            db,
            sql: """
                SELECT parameters FROM model_version WHERE state IN ('live', 'candidate', 'waiting')
                UNION SELECT parameters FROM (
                    SELECT parameters, row_number() OVER (
                        PARTITION BY package ORDER BY state = 'live' DESC, decided_at_ms DESC) AS place
                    FROM model_version WHERE was_live = 1)
                WHERE place <= ?
                UNION SELECT parameters FROM model_version WHERE model_version IN (
                    SELECT model_version FROM flag WHERE state <> 'final'
                    UNION SELECT model_version FROM report WHERE state = 'due')
                UNION SELECT approved_parameters FROM hub_offer WHERE approved_parameters IS NOT NULL
                """, arguments: [Self.mostVersionsToGoBackTo + 1])
        return Set(kept.compactMap { Hash(hex: $0) })
    }

    /// The hub has noted this decision; a newer one about the same version stays due.
    public func reported(_ version: VersionRow) throws {
        try db.execute(
            sql: "UPDATE model_version SET report_due = 0 WHERE model_version = ? AND state = ? AND decided_at_ms = ?",
            arguments: [version.version.id.hex, version.state.rawValue, version.decidedAt])
    }
}
