// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import Triage

extension WorkerTransaction {
    // MARK: Studies

    public func study(_ key: StudyKey) throws -> StudyRow? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM study WHERE gateway = ? AND study_instance_uid = ?",
            arguments: [key.gateway, key.studyInstanceUID]
        ).map(StudyRow.init)
    }

    public func openStudies() throws -> [StudyRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM study WHERE open = 1 ORDER BY arrived_at_ms").map(StudyRow.init)
    }

    /// Adds the study or, when it is known, updates what changes with each instance; the header stays as it came first.
    public func save(_ study: StudyRow) throws {
        let header = study.header
        try db.execute(
            sql: """
                INSERT INTO study (
                    study_instance_uid, gateway, gateway_instance, open, held_out, patient_id, patient_name, birth_date,
                    description, modality, accession_number, study_date, expected_instances, arrived_at_ms,
                    last_instance_at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (gateway, study_instance_uid) DO UPDATE SET
                    gateway_instance = excluded.gateway_instance, open = excluded.open,
                    expected_instances = excluded.expected_instances,
                    last_instance_at_ms = excluded.last_instance_at_ms
                """,
            arguments: [
                header.studyInstanceUID, study.gateway, study.gatewayInstance, study.isOpen, study.isHeldOut,
                header.patientID, header.patientName, header.birthDate, header.description, header.modality,
                header.accessionNumber, header.studyDate, study.expectedInstances, study.arrivedAt,
                study.lastInstanceAt,
            ])
    }

    public func close(_ study: StudyKey) throws {
        try db.execute(
            sql: "UPDATE study SET open = 0 WHERE gateway = ? AND study_instance_uid = ?",
            arguments: [study.gateway, study.studyInstanceUID])
    }

    // MARK: Instances

    public func instance(_ study: StudyKey, _ sopInstanceUID: String) throws -> InstanceRow? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM instance WHERE gateway = ? AND study_instance_uid = ? AND sop_instance_uid = ?",
            arguments: [study.gateway, study.studyInstanceUID, sopInstanceUID]
        ).map(InstanceRow.init)
    }

    /// Adds the instance or replaces what was known about it. The study has to be there.
    public func save(_ instance: InstanceRow) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO instance (
                    gateway, study_instance_uid, sop_instance_uid, gateway_instance, sop_class_uid, series_instance_uid,
                    series_expected, acquisition, acquisition_expected, outcome, reason_name, reason)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                instance.study.gateway, instance.study.studyInstanceUID, instance.sopInstanceUID,
                instance.gatewayInstance, instance.sopClassUID, instance.seriesInstanceUID, instance.expected.series,
                instance.expected.acquisitionNumber, instance.expected.acquisition, instance.outcome.rawValue,
                instance.reasonName, instance.reason,
            ])
    }

    /// Notes an instance whose UIDs cannot be read.
    public func saveUnreadable(gateway: String, gatewayInstance: String, reasonName: String, reason: String) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO unreadable (gateway, gateway_instance, reason_name, reason) VALUES (?, ?, ?, ?)
                """, arguments: [gateway, gatewayInstance, reasonName, reason])
    }

    /// How many instances of a study came to which end.
    public func counts(_ study: StudyKey) throws -> Flag.Counts {
        var counts = Flag.Counts()
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT outcome, COUNT(*) AS n FROM instance WHERE gateway = ? AND study_instance_uid = ?
                GROUP BY outcome
                """, arguments: [study.gateway, study.studyInstanceUID])
        while let row = try rows.next() {
            let count: Int = row["n"]
            counts.received += count
            switch InstanceRow.Outcome(rawValue: row["outcome"]) {
            case .scored: counts.scored = count
            case .setAside: counts.setAside = count
            case .ignored, nil: break
            }
        }
        return counts
    }

    /// The instances of a study by what they say about their number.
    public func groups(_ study: StudyKey) throws -> [Completeness.Group] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT series_instance_uid, series_expected, acquisition, acquisition_expected, COUNT(*) AS n
                FROM instance WHERE gateway = ? AND study_instance_uid = ? GROUP BY 1, 2, 3, 4
                """, arguments: [study.gateway, study.studyInstanceUID]
        ).map { row in
            Completeness.Group(
                series: row["series_instance_uid"],
                expected: ExpectedCounts(
                    series: row["series_expected"], acquisition: row["acquisition_expected"],
                    acquisitionNumber: row["acquisition"]), instances: row["n"])
        }
    }

    /// Instances that were set aside, by the name of the reason.
    public func setAsideCounts() throws -> [String: Int] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT reason_name, SUM(n) AS n FROM (
                    SELECT reason_name, COUNT(*) AS n FROM instance WHERE outcome = 'set-aside' GROUP BY reason_name
                    UNION ALL SELECT reason_name, COUNT(*) FROM unreadable GROUP BY reason_name)
                GROUP BY reason_name
                """)
        return Dictionary(rows.map { ($0["reason_name"], $0["n"]) }, uniquingKeysWith: +)
    }

    // MARK: Scores

    /// - Parameter probabilities: frame by frame, one for each finding.
    public func saveScores(
        study: StudyKey, version: String, sopInstanceUID: String, probabilities: [Float]
    ) throws {
        let bytes = probabilities.withUnsafeBytes { Data($0) }
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO frame_score (
                    gateway, study_instance_uid, model_version, sop_instance_uid, probabilities)
                VALUES (?, ?, ?, ?, ?)
                """, arguments: [study.gateway, study.studyInstanceUID, version, sopInstanceUID, bytes])
    }

    /// Calls `body` with the scores of each instance of a study, one instance in memory at a time.
    public func forEachScore(
        study: StudyKey, version: String,
        _ body: (_ sopInstanceUID: String, _ gatewayInstance: String, _ probabilities: [Float]) throws -> Void
    ) throws {
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT sop_instance_uid, gateway_instance, probabilities
                FROM frame_score JOIN instance USING (gateway, study_instance_uid, sop_instance_uid)
                WHERE gateway = ? AND study_instance_uid = ? AND model_version = ?
                """, arguments: [study.gateway, study.studyInstanceUID, version])
        while let row = try rows.next() {
            let bytes: Data = row["probabilities"]
            let probabilities = bytes.withUnsafeBytes { raw in
                (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
            }
            try body(row["sop_instance_uid"], row["gateway_instance"], probabilities)
        }
    }
}
