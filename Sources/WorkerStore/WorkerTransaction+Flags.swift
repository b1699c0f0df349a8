// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import Wire

extension WorkerTransaction {
    /// All flags of a study, also those with nothing told yet, which say which versions read the study.
    public func flags(_ study: StudyKey) throws -> [FlagRow] {
        try Row.fetchAll(
            db, sql: "SELECT * FROM flag WHERE gateway = ? AND study_instance_uid = ? ORDER BY model_version",
            arguments: [study.gateway, study.studyInstanceUID]
        ).map(FlagRow.init)
    }

    /// Adds or replaces the flag of a study and model version; what the gateway has acknowledged stays.
    public func save(_ flag: FlagRow) throws {
        try db.execute(
            sql: """
                INSERT INTO flag (
                    gateway, study_instance_uid, model_version, package, flag, state, revision, acked_revision,
                    document)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (gateway, study_instance_uid, model_version) DO UPDATE SET
                    state = excluded.state, revision = excluded.revision, document = excluded.document
                """,
            arguments: [
                flag.study.gateway, flag.study.studyInstanceUID, flag.modelVersion, flag.package, flag.flag,
                flag.state.rawValue, flag.revision, flag.ackedRevision, flag.document,
            ])
    }

    public func flag(_ flag: String, gateway: String) throws -> FlagRow? {
        try Row.fetchOne(db, sql: "SELECT * FROM flag WHERE gateway = ? AND flag = ?", arguments: [gateway, flag])
            .map(FlagRow.init)
    }

    /// The gateway has committed this revision. An older or unknown one has no effect.
    ///
    /// - Parameter report: of the gateway, see `FlagRow.gatewayReport`.
    public func acknowledgeFlag(
        _ flag: String, gateway: String, revision: Int, report: String, receipt: Receipt
    ) throws {
        // The first receipt for a revision is kept: a later one is for the same commit.
        try db.execute(
            sql: """
                UPDATE flag SET acked_revision = MIN(?, revision), gateway_report = ?, acked_state = ?, acked_serial = ?
                WHERE gateway = ? AND flag = ? AND MIN(?, revision) > acked_revision
                """, arguments: [revision, report, receipt.state, receipt.serial, gateway, flag, revision])
    }

    /// What a gateway acknowledged and its receipts do not hold any more is not acknowledged.
    ///
    /// - Parameter since: studies that arrived before are let go: the gateway forgets them too.
    /// - Returns: how many flags will be sent again.
    public func unacknowledgeFlags(gateway: String, notHeldBy receipts: ReceiptBook, since: Int64) throws -> Int {
        let ours = """
            acked_revision > 0 AND gateway = ? AND study_instance_uid IN (
                SELECT study_instance_uid FROM study WHERE gateway = ? AND arrived_at_ms >= ?)
            """
        try db.execute(
            sql: "UPDATE flag SET acked_revision = 0 WHERE (acked_state <> ? OR acked_serial > ?) AND \(ours)",
            arguments: [receipts.state, receipts.serial, gateway, gateway, since])
        var count = db.changesCount
        for void in receipts.voids {
            try db.execute(
                sql: """
                    UPDATE flag SET acked_revision = 0
                    WHERE acked_state = ? AND acked_serial BETWEEN ? AND ? AND \(ours)
                    """, arguments: [receipts.state, void.lowerBound, void.upperBound, gateway, gateway, since])
            count += db.changesCount
        }
        return count
    }

    /// Flags that a gateway has not acknowledged in their last revision, oldest study first.
    public func unacknowledgedFlags(gateway: String, limit: Int) throws -> [FlagRow] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT flag.* FROM flag JOIN study USING (gateway, study_instance_uid)
                WHERE revision > acked_revision AND gateway = ? ORDER BY arrived_at_ms LIMIT ?
                """, arguments: [gateway, limit]
        ).map(FlagRow.init)
    }
}
