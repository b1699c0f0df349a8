// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB

/// Final flags as DICOM objects: what has to be made, what was made and not delivered.
extension WorkerTransaction {
    // MARK: Reports

    /// A final flag is to be told to the archive, unless this revision was already.
    ///
    /// - Parameter always: false: only when an earlier revision was told, which this one takes the place of.
    public func requestReport(_ flag: FlagRow, always: Bool) throws {
        let keys: StatementArguments = [flag.study.gateway, flag.study.studyInstanceUID, flag.modelVersion]
        if always {
            try db.execute(
                sql: """
                    INSERT OR IGNORE INTO report
                        (gateway, study_instance_uid, model_version, revision, state, reason)
                    VALUES (?, ?, ?, 0, 'due', '')
                    """, arguments: keys)
        }
        try db.execute(
            sql: """
                UPDATE report SET revision = ?, state = 'due', reason = ''
                WHERE gateway = ? AND study_instance_uid = ? AND model_version = ? AND revision < ?
                """, arguments: [flag.revision] + keys + [flag.revision])
    }

    /// Final flags of a gateway's studies that have still to be told. A flag that is not final any more waits.
    public func dueReports(gateway: String, limit: Int) throws -> [FlagRow] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT flag.* FROM report JOIN flag USING (gateway, study_instance_uid, model_version)
                WHERE report.state = 'due' AND gateway = ? AND flag.state = 'final' LIMIT ?
                """, arguments: [gateway, limit]
        ).map(FlagRow.init)
    }

    /// Notes what became of a report, and its objects; objects that were there before stay as they are. Without effect
    /// when a newer revision is due by now.
    ///
    /// - Parameter failure: why there is none; nil: it was made.
    public func finishReport(_ flag: FlagRow, objects: [ResultRow], failure: String? = nil) throws {
        try db.execute(
            sql: """
                UPDATE report SET state = ?, reason = ?
                WHERE gateway = ? AND study_instance_uid = ? AND model_version = ? AND revision <= ?
                """,
            arguments: [
                failure == nil ? "made" : "failed", failure ?? "", flag.study.gateway, flag.study.studyInstanceUID,
                flag.modelVersion, flag.revision,
            ])
        for object in objects {
            try db.execute(
                sql: """
                    INSERT OR IGNORE INTO result (
                        gateway, sop_instance_uid, study_instance_uid, model_version, flag, kind, sop_class_uid,
                        series_instance_uid, revision, state, reason, file)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'due', '', ?)
                    """,
                arguments: [
                    object.study.gateway, object.sopInstanceUID, object.study.studyInstanceUID, object.modelVersion,
                    object.flag, object.kind, object.sopClassUID, object.seriesInstanceUID, object.revision, object.file,
                ])
        }
    }

    /// The instances that a version has scored.
    public func scoredInstances(_ study: StudyKey, version: String) throws -> [InstanceRow] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT instance.* FROM frame_score JOIN instance USING (gateway, study_instance_uid, sop_instance_uid)
                WHERE gateway = ? AND study_instance_uid = ? AND model_version = ?
                """, arguments: [study.gateway, study.studyInstanceUID, version]
        ).map(InstanceRow.init)
    }

    // MARK: Objects

    /// The last object of a kind about a study by one version, without its file.
    public func lastResult(_ study: StudyKey, version: String, kind: String) throws -> ResultRow? {
        try Row.fetchOne(
            db,
            sql: """
                SELECT *, x'' AS file FROM (
                    SELECT gateway, study_instance_uid, model_version, flag, kind, sop_class_uid, sop_instance_uid,
                        series_instance_uid, revision FROM result
                    WHERE gateway = ? AND study_instance_uid = ? AND model_version = ? AND kind = ?
                    ORDER BY revision DESC LIMIT 1)
                """, arguments: [study.gateway, study.studyInstanceUID, version, kind]
        ).map(ResultRow.init)
    }

    /// Objects that a gateway does not have yet, in the order in which they were made.
    public func dueResults(gateway: String, limit: Int) throws -> [ResultRow] {
        try Row.fetchAll(
            db, sql: "SELECT * FROM result WHERE state = 'due' AND gateway = ? ORDER BY rowid LIMIT ?",
            arguments: [gateway, limit]
        ).map(ResultRow.init)
    }

    /// The gateway has an object, or has said that it never will.
    public func acknowledgeResult(_ sopInstanceUID: String, gateway: String, refusal: String?) throws {
        try db.execute(
            sql: """
                UPDATE result SET state = ?, reason = ?, file = x''
                WHERE gateway = ? AND sop_instance_uid = ? AND state = 'due'
                """, arguments: [refusal == nil ? "delivered" : "refused", refusal ?? "", gateway, sopInstanceUID])
    }
}

extension ResultRow {
    fileprivate init(_ row: Row) {
        self.init(
            study: StudyKey(row), modelVersion: row["model_version"], flag: row["flag"], kind: row["kind"],
            sopClassUID: row["sop_class_uid"], sopInstanceUID: row["sop_instance_uid"],
            seriesInstanceUID: row["series_instance_uid"], revision: row["revision"], file: row["file"])
    }
}
