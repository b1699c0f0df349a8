// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import Foundation
import GRDB
import ModelPackage
import Rounds

/// What keeps one site from speaking for all.
extension HubStore {
    /// Deltas that a site may begin to send in one round; what goes on where it was left is no new one.
    public static let mostOffers = 16

    // MARK: Labels

    /// Training labels that a site had said it has when the round opened; 0 when it was not asked.
    public func cohortLabels(round: Int, site: String) throws -> Int {
        try pool.read { db in
            try Int.fetchOne(
                db, sql: "SELECT training_labels FROM cohort WHERE round = ? AND site = ?", arguments: [round, site])
                ?? 0
        }
    }

    /// The same of all its sites; those about which nothing is known are left out.
    public func cohortLabels(round: Int) throws -> [Int] {
        try pool.read { db in
            try Int.fetchAll(
                db, sql: "SELECT training_labels FROM cohort WHERE round = ? AND training_labels > 0",
                arguments: [round])
        }
    }

    /// `LabelCount.total` of each site in its last round that was counted.
    public func countedLabels(package: Hash) throws -> [String: Int] {
        try pool.read { db in
            try Row.fetchAll(
                db, sql: "SELECT site, labels FROM counted_labels WHERE package = ?", arguments: [package.hex]
            ).reduce(into: [:]) { $0[$1["site"]] = $1["labels"] }
        }
    }

    // MARK: Deltas

    /// Whether a site may begin to send this delta, or go on with it.
    public func mayOffer(_ manifest: DeltaManifest, from site: String) throws -> Bool {
        try pool.read { db in
            let offers =
                try Int.fetchOne(
                    db, sql: "SELECT offers FROM cohort WHERE round = ? AND site = ?",
                    arguments: [manifest.round, site])
                ?? 0
            return try offers < Self.mostOffers || Self.isBeingReceived(db, manifest, site)
        }
    }

    static func isBeingReceived(_ db: Database, _ manifest: DeltaManifest, _ site: String) throws -> Bool {
        try Bool.fetchOne(
            db,
            sql: """
                SELECT 1 FROM delta WHERE round = ? AND site = ? AND hash = ? AND state = 'receiving' AND bytes = ?
                """, arguments: [manifest.round, site, manifest.hash.hex, manifest.bytes]) != nil
    }

    /// Keeps deltas out of a round, whether they were accepted before or not: they do not count, and their sites have had
    /// their say in it.
    public func keepOut(_ outOfLine: [String: OutOfLine], round number: Int, atMilliseconds now: Int64) throws {
        try pool.write { db in
            for (site, fault) in outOfLine.sorted(by: { $0.key < $1.key }) {
                try db.execute(
                    sql: "UPDATE cohort SET out_of_line = ? WHERE round = ? AND site = ?",
                    arguments: [fault.description, number, site])
                try db.execute(
                    sql: "DELETE FROM contribution WHERE round = ? AND site = ?", arguments: [number, site])
                try db.execute(
                    sql: """
                        UPDATE delta SET state = 'refused', refusal = ?, received = 0, changed_at_ms = ?
                        WHERE round = ? AND site = ? AND state IN ('receiving', 'accepted')
                        """, arguments: [DeltaRefusal.outOfLine.rawValue, now, number, site])
                try Self.count(
                    db, site: site, round: number, reason: DeltaRefusal.outOfLine.rawValue, 1, fault.detail, now)
            }
        }
        for site in outOfLine.keys { try? FileManager.default.removeItem(at: upload(round: number, site: site)) }
    }

    /// Why the screens kept sites out of a round, by site.
    public func outOfLine(round: Int) throws -> [String: String] {
        try pool.read { db in
            try Row.fetchAll(
                db, sql: "SELECT site, out_of_line FROM cohort WHERE round = ? AND out_of_line IS NOT NULL",
                arguments: [round]
            ).reduce(into: [:]) { $0[$1["site"]] = $1["out_of_line"] }
        }
    }

    // MARK: Retention

    static func forgottenRounds(_ db: Database, _ package: Hash) throws -> [Round.State: Int] {
        let row = try Row.fetchOne(db, sql: "SELECT * FROM model WHERE package = ?", arguments: [package.hex])
        let counts: [Round.State: Int] = [
            .closed: row?["forgotten_closed"] ?? 0, .void: row?["forgotten_void"] ?? 0,
        ]
        return counts.filter { $0.value > 0 }
    }

    /// Deletes what is known of all rounds of a model but the newest: deltas, refusals (which stay in the sums), reports
    /// about their versions. Versions and the audit log stay.
    public func forgetRounds(package: Hash, keeping kept: Int) throws {
        try pool.write { db in
            guard
                let newest = try Int.fetchOne(
                    db,
                    sql: """
                        SELECT number FROM round WHERE package = ? AND state IN ('closed', 'void')
                        ORDER BY number DESC LIMIT 1 OFFSET ?
                        """, arguments: [package.hex, kept])
            else { return }
            let old = """
                (SELECT number FROM round WHERE package = :package AND number <= :newest AND state IN ('closed', 'void'))
                """
            let statements = [
                """
                UPDATE model SET
                    forgotten_closed = forgotten_closed
                        + (SELECT count(*) FROM round WHERE number IN \(old) AND state = 'closed'),
                    forgotten_void = forgotten_void
                        + (SELECT count(*) FROM round WHERE number IN \(old) AND state = 'void')
                WHERE package = :package
                """,
                """
                INSERT INTO refusal (site, round, reason, count, last_at_ms)
                SELECT site, 0, reason, sum(count), max(last_at_ms) FROM refusal WHERE round IN \(old)
                GROUP BY site, reason
                ON CONFLICT (site, round, reason) DO UPDATE
                SET count = count + excluded.count, last_at_ms = max(last_at_ms, excluded.last_at_ms)
                """,
                "DELETE FROM refusal WHERE round IN \(old)", "DELETE FROM contribution WHERE round IN \(old)",
                "DELETE FROM delta WHERE round IN \(old)", "DELETE FROM cohort WHERE round IN \(old)",
                """
                DELETE FROM version_report
                WHERE version IN (SELECT id FROM version WHERE round IN \(old))
                    AND version NOT IN (SELECT current_version FROM model)
                """,
                "UPDATE version SET round = NULL WHERE round IN \(old)",
                "DELETE FROM round WHERE number IN \(old)",
            ]
            for sql in statements {
                let statement = try db.makeStatement(sql: sql)
                try statement.setArguments(["package": package.hex, "newest": newest])
                try statement.execute()
            }
        }
    }
}
