// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

extension WorkerTransaction {
    public func example(_ study: StudyKey, package: String) throws -> ExampleRow? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM example WHERE gateway = ? AND study_instance_uid = ? AND package = ?",
            arguments: [study.gateway, study.studyInstanceUID, package]
        ).map(ExampleRow.init)
    }

    public func examples(_ study: StudyKey) throws -> [ExampleRow] {
        try Row.fetchAll(
            db, sql: "SELECT * FROM example WHERE gateway = ? AND study_instance_uid = ? ORDER BY package",
            arguments: [study.gateway, study.studyInstanceUID]
        ).map(ExampleRow.init)
    }

    public func save(_ example: ExampleRow) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO example (
                    gateway, study_instance_uid, package, file, slices, bytes, state, created_at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                example.study.gateway, example.study.studyInstanceUID, example.package, example.file, example.slices,
                example.bytes, example.state.rawValue, example.createdAt,
            ])
    }

    /// Bytes of all examples that are kept.
    public func exampleBytes() throws -> Int {
        try Int.fetchOne(db, sql: "SELECT SUM(bytes) FROM example WHERE state <> 'dropped'") ?? 0
    }

    /// Examples in the order in which they may go: without a label first, then to be trained on, held out last; the
    /// oldest first.
    public func examplesToDrop(limit: Int) throws -> [ExampleRow] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT example.* FROM example JOIN study USING (gateway, study_instance_uid) WHERE state = 'ready'
                ORDER BY EXISTS (SELECT 1 FROM current_label WHERE current_label.gateway = example.gateway
                        AND current_label.study_instance_uid = example.study_instance_uid),
                    held_out, created_at_ms
                LIMIT ?
                """, arguments: [limit]
        ).map(ExampleRow.init)
    }

    /// Names of the files that belong to a row.
    public func exampleFiles() throws -> Set<String> {
        Set(try String.fetchAll(db, sql: "SELECT file FROM example WHERE state <> 'dropped'"))
    }
}
