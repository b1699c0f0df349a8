// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Foundation
import GRDB
import ModelPackage
import Statistics

/// What versions say about held-out studies, and the figures that follow.
extension WorkerTransaction {
    /// Notes a version's probabilities for a held-out study.
    ///
    /// - Parameters:
    ///   - probabilities: by finding; nil: it cannot say.
    ///   - isFlag: the version has flagged the study, which counts more than what it says about a kept example.
    public func saveHeldOutScores(
        _ study: StudyKey, version: Hash, _ probabilities: [String: Double?], isFlag: Bool
    ) throws {
        for (finding, probability) in probabilities {
            // SQLite has no NaN.
            let known = probability.flatMap { $0.isFinite ? $0 : nil }
            try db.execute(
                sql: """
                    INSERT OR \(isFlag ? "REPLACE" : "IGNORE") INTO held_out_score
                        (gateway, study_instance_uid, model_version, finding, probability)
                    VALUES (?, ?, ?, ?, ?)
                    """, arguments: [study.gateway, study.studyInstanceUID, version.hex, finding, known])
        }
    }

    /// Held-out studies with a label, as a version scores them, by finding. A study that two gateways hold counts once.
    public func heldOutStudies(version: Hash) throws -> [String: [ScoredStudy]] {
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT finding, study_instance_uid, present, probability
                FROM held_out_score JOIN current_label USING (gateway, study_instance_uid, finding)
                WHERE model_version = ? AND probability IS NOT NULL
                ORDER BY finding, study_instance_uid, gateway
                """, arguments: [version.hex])
        var studies: [String: [ScoredStudy]] = [:]
        var last: (finding: String, study: String)?
        while let row = try rows.next() {
            let (finding, study): (String, String) = (row["finding"], row["study_instance_uid"])
            if let last, last == (finding, study) { continue }
            last = (finding, study)
            studies[finding, default: []].append(
                ScoredStudy(probability: row["probability"], isPresent: row["present"]))
        }
        return studies
    }

    /// Labelled held-out examples of a package that a version has not scored.
    public func unscoredExamples(_ version: ModelVersion, findings: [String]) throws -> [LabelledExample] {
        try labelledExamples(package: version.package.hex, findings: findings, heldOut: true).filter { example in
            try Int.fetchOne(
                db,
                sql: """
                    SELECT COUNT(*) FROM held_out_score
                    WHERE gateway = ? AND study_instance_uid = ? AND model_version = ?
                    """, arguments: [example.study.gateway, example.study.studyInstanceUID, version.id.hex]) == 0
        }
    }

    /// Versions that are not live any more are not judged by new labels.
    func forgetHeldOutScores(package: String) throws {
        try db.execute(
            sql: """
                DELETE FROM held_out_score WHERE model_version IN (
                    SELECT model_version FROM model_version WHERE package = ? AND state IN ('superseded', 'refused'))
                """, arguments: [package])
    }

    // MARK: Figures

    public func validations() throws -> [ValidationRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM validation ORDER BY model_version, finding").map(ValidationRow.init)
    }

    /// The figures of some versions; those of others stay.
    public func replaceValidations(versions: [String], with rows: [ValidationRow]) throws {
        for version in versions {
            try db.execute(sql: "DELETE FROM validation WHERE model_version = ?", arguments: [version])
        }
        for row in rows { try save(row) }
    }

    private func save(_ row: ValidationRow) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO validation (
                    model_version, finding, threshold, positives, negatives, true_positives, true_negatives, auc,
                    auc_low, auc_high, calibration_labels, at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                row.version, row.finding, row.threshold, row.figures.positives, row.figures.negatives,
                row.figures.truePositives, row.figures.trueNegatives, row.areaUnderCurve?.value,
                row.areaUnderCurve?.low, row.areaUnderCurve?.high, row.calibrationLabels, row.at,
            ])
    }

    /// Grows with every label, version and operating point: figures can only change when this does.
    public func lastDecision() throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT MAX(number) FROM audit_entry") ?? 0
    }
}
