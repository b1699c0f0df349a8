// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import Wire

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

    /// A flag is told after the gateway has it, and for as long as nothing more of its study comes.
    private static let dueFlags = """
        SELECT flag.* FROM report JOIN flag USING (gateway, study_instance_uid, model_version)
            JOIN study USING (gateway, study_instance_uid)
        WHERE report.state = 'due' AND gateway = ? AND flag.state = 'final' AND study.open = 0
            AND flag.acked_revision >= report.revision
        """

    /// Final flags of a gateway's studies that have still to be told.
    public func dueReports(gateway: String, limit: Int) throws -> [FlagRow] {
        try Row.fetchAll(db, sql: "\(Self.dueFlags) LIMIT ?", arguments: [gateway, limit]).map(FlagRow.init)
    }

    /// Whether a flag has still to be told as it is; else there is a newer one, or there soon will be.
    public func isReportDue(_ flag: FlagRow) throws -> Bool {
        try Row.fetchOne(
            db, sql: "\(Self.dueFlags) AND flag.flag = ? AND flag.revision = ?",
            arguments: [flag.study.gateway, flag.flag, flag.revision]) != nil
    }

    /// Notes what became of a report, and its objects; objects that were there before stay as they are, but for
    /// those that the gateway has lost. Without effect when a newer revision is due by now.
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
                    INSERT INTO result (
                        gateway, sop_instance_uid, study_instance_uid, model_version, flag, kind, sop_class_uid,
                        series_instance_uid, revision, state, reason, file)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'due', '', ?)
                    ON CONFLICT (gateway, sop_instance_uid) DO UPDATE SET state = 'due', file = excluded.file
                    WHERE result.state = 'lost'
                    """,
                arguments: [
                    object.study.gateway, object.sopInstanceUID, object.study.studyInstanceUID, object.modelVersion,
                    object.flag, object.kind, object.sopClassUID, object.seriesInstanceUID, object.revision,
                    object.file,
                ])
        }
    }

    /// The instances that a version has scored, each with the number of its scores: frames × findings.
    public func scoredInstances(
        _ study: StudyKey, version: String
    ) throws -> [(instance: InstanceRow, scores: Int)] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT instance.*, length(probabilities) / 4 AS scores
                FROM frame_score JOIN instance USING (gateway, study_instance_uid, sop_instance_uid)
                WHERE gateway = ? AND study_instance_uid = ? AND model_version = ?
                """, arguments: [study.gateway, study.studyInstanceUID, version]
        ).map { (instance: InstanceRow($0), scores: $0["scores"]) }
    }

    // MARK: Objects

    /// The last object of a kind about a study by one version that is not `sopInstanceUID`, without its file.
    public func lastResult(
        _ study: StudyKey, version: String, kind: String, before sopInstanceUID: String
    ) throws -> ResultRow? {
        try Row.fetchOne(
            db,
            sql: """
                SELECT *, x'' AS file FROM (
                    SELECT gateway, study_instance_uid, model_version, flag, kind, sop_class_uid, sop_instance_uid,
                        series_instance_uid, revision FROM result
                    WHERE gateway = ? AND study_instance_uid = ? AND model_version = ? AND kind = ?
                        AND sop_instance_uid <> ?
                    ORDER BY revision DESC LIMIT 1)
                """, arguments: [study.gateway, study.studyInstanceUID, version, kind, sopInstanceUID]
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
    public func acknowledgeResult(
        _ sopInstanceUID: String, gateway: String, refusal: String?, receipt: Receipt
    ) throws {
        try db.execute(
            sql: """
                UPDATE result SET state = ?, reason = ?, acked_state = ?, acked_serial = ?, file = x''
                WHERE gateway = ? AND sop_instance_uid = ? AND state = 'due'
                """,
            arguments: [
                refusal == nil ? "delivered" : "refused", refusal ?? "", receipt.state, receipt.serial, gateway,
                sopInstanceUID,
            ])
    }

    /// What a gateway acknowledged and its receipts do not hold any more is lost: its flag has to be told again, which
    /// makes the same objects.
    ///
    /// - Parameter since: studies that arrived before are let go: the gateway forgets them too.
    /// - Returns: how many objects were lost.
    public func unacknowledgeResults(gateway: String, notHeldBy receipts: ReceiptBook, since: Int64) throws -> Int {
        var count = 0
        func lose(_ condition: String, _ values: StatementArguments) throws {
            let arguments = values + [gateway, gateway, since]
            let lost = """
                state = 'delivered' AND \(condition) AND gateway = ? AND study_instance_uid IN (
                    SELECT study_instance_uid FROM study WHERE gateway = ? AND arrived_at_ms >= ?)
                """
            try db.execute(
                sql: """
                    UPDATE report SET state = 'due', reason = ''
                    WHERE (gateway, study_instance_uid, model_version) IN (
                        SELECT gateway, study_instance_uid, model_version FROM result WHERE \(lost))
                    """, arguments: arguments)
            try db.execute(sql: "UPDATE result SET state = 'lost' WHERE \(lost)", arguments: arguments)
            count += db.changesCount
        }
        try lose("(acked_state <> ? OR acked_serial > ?)", [receipts.state, receipts.serial])
        for void in receipts.voids {
            try lose(
                "acked_state = ? AND acked_serial BETWEEN ? AND ?",
                [receipts.state, void.lowerBound, void.upperBound])
        }
        return count
    }

    /// What is told and what could not be told, all gateways together.
    public func resultCounts() throws -> ResultCounts {
        func count(_ sql: String) throws -> Int { try Int.fetchOne(db, sql: sql) ?? 0 }
        func reasons(_ table: String, _ state: String) throws -> [String: Int] {
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT substr(reason, 1, instr(reason || ':', ':') - 1) AS name, count(*) AS n FROM \(table)
                    WHERE state = '\(state)' GROUP BY 1
                    """)
            return Dictionary(uniqueKeysWithValues: rows.map { ($0["name"], $0["n"]) })
        }
        return ResultCounts(
            due: try count("SELECT count(*) FROM report WHERE state = 'due'"),
            unsent: try count("SELECT count(*) FROM result WHERE state = 'due'"),
            failed: try reasons("report", "failed").merging(try reasons("result", "refused"), uniquingKeysWith: +))
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
