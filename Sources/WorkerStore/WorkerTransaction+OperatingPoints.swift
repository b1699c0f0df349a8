// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

extension WorkerTransaction {
    /// Adds a decision and its audit entry.
    public func add(_ point: OperatingPointRow) throws {
        try insert(point, event: "operating-point-\(point.origin.rawValue)")
    }

    /// Adds a decision that was lost with a database.
    func recover(_ point: OperatingPointRow) throws {
        try insert(point, event: "operating-point-recovered")
    }

    private func insert(_ point: OperatingPointRow, event: String) throws {
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
            event,
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

    /// Says that a version that is live without the guard, because the database that knew another one was lost, does
    /// without the thresholds that were chosen for that one.
    ///
    /// - Returns: what was lost.
    public func loseOperatingPoints(ofOthersThan version: ModelVersion, at: Int64) throws -> [OperatingPointRow] {
        let own = try operatingPoints(version)
        let history = try operatingPointHistory(package: version.package)
        let newest = Dictionary(history.map { ($0.finding, $0) }, uniquingKeysWith: { $1 })
        let lost = newest.values.sorted { $0.finding < $1.finding }.filter {
            own[$0.finding] == nil && $0.threshold != nil
        }.map {
            OperatingPointRow(
                version: version, finding: $0.finding, origin: .lost, goal: $0.goal,
                reason: "it was chosen for version \($0.version.id.short), which the database no longer knows", at: at)
        }
        for point in lost { try add(point) }
        return lost
    }

    /// All decisions, oldest first.
    func operatingPoints() throws -> [OperatingPointRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM operating_point ORDER BY id").map(OperatingPointRow.init)
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
