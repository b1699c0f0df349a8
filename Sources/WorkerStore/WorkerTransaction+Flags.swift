// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

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

    /// The gateway has committed this revision. An older or unknown one has no effect.
    public func acknowledgeFlag(_ flag: String, gateway: String, revision: Int) throws {
        try db.execute(
            sql: """
                UPDATE flag SET acked_revision = MAX(acked_revision, MIN(?, revision)) WHERE gateway = ? AND flag = ?
                """, arguments: [revision, gateway, flag])
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
