// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

extension WorkerTransaction {
    /// Adds a decision and its audit entry.
    public func add(_ point: OperatingPointRow) throws {
        try db.execute(
            sql: """
                INSERT INTO operating_point (
                    package, parameters, model_version, finding, origin, threshold, goal, goal_value,
                    minimum_per_class, positives, negatives, reason, by, at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                point.version.package.hex, point.version.parameters.hex, point.version.id.hex, point.finding,
                point.origin.rawValue, point.threshold, point.goal?.name ?? "", point.goal?.value ?? 0,
                point.minimumPerClass, point.positives, point.negatives, point.reason, point.by, point.at,
            ])
        try audit(
            "operating-point-\(point.origin.rawValue)",
            [
                "package": point.version.package.hex, "version": point.version.id.hex, "finding": point.finding,
                "threshold": point.threshold.map { "\($0)" } ?? "package",
                "goal": point.goal.map { "\($0)" } ?? "none", "positives": String(point.positives),
                "negatives": String(point.negatives), "by": point.by, "reason": point.reason,
            ])
    }

    /// The decision that counts for each finding of a version.
    public func operatingPoints(_ version: ModelVersion) throws -> [String: OperatingPointRow] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM operating_point WHERE id IN (
                    SELECT MAX(id) FROM operating_point WHERE model_version = ? GROUP BY finding)
                """, arguments: [version.id.hex]
        ).map(OperatingPointRow.init)
        return Dictionary(rows.map { ($0.finding, $0) }, uniquingKeysWith: { $1 })
    }

    /// All decisions about a package, oldest first.
    public func operatingPointHistory(package: Hash) throws -> [OperatingPointRow] {
        try Row.fetchAll(
            db, sql: "SELECT * FROM operating_point WHERE package = ? ORDER BY id", arguments: [package.hex]
        )
        .map(OperatingPointRow.init)
    }

    /// Grows with every decision.
    public func lastOperatingPoint() throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT MAX(id) FROM operating_point") ?? 0
    }
}
