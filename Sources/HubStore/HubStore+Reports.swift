// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import GRDB
import ModelPackage

extension HubStore {
    /// Keeps a site's newest word on a version; a changed decision is also in the audit log.
    ///
    /// - Returns: false when there is no such version.
    public func recordReport(_ report: VersionReport, from site: String, atMilliseconds now: Int64) throws -> Bool {
        try pool.write { db in
            guard
                try Bool.fetchOne(
                    db, sql: "SELECT 1 FROM version WHERE id = ?", arguments: [report.version.hex]) != nil
            else { return false }
            let before = try String.fetchOne(
                db, sql: "SELECT decision FROM version_report WHERE version = ? AND site = ?",
                arguments: [report.version.hex, site])
            try db.execute(
                sql: """
                    INSERT INTO version_report
                        (version, site, decision, held_out_labels, candidate_auc, live_auc, reported_at_ms)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (version, site) DO UPDATE SET decision = excluded.decision,
                        held_out_labels = excluded.held_out_labels, candidate_auc = excluded.candidate_auc,
                        live_auc = excluded.live_auc, reported_at_ms = excluded.reported_at_ms
                    """,
                arguments: [
                    report.version.hex, site, report.decision.rawValue, report.heldOutLabels, report.candidateAUC,
                    report.liveAUC, now,
                ])
            if before != report.decision.rawValue {
                try AuditLog.append(
                    db, event: "version-reported",
                    detail: [
                        "site": site, "version": report.version.hex, "decision": report.decision.rawValue,
                        "held_out_labels": String(report.heldOutLabels),
                    ], atMilliseconds: now)
            }
            return true
        }
    }

    /// What the sites said about the versions of a model, by version number and site.
    public func reports(package: Hash) throws -> [SiteReport] {
        try pool.read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT version_report.* FROM version_report JOIN version ON version.id = version_report.version
                    WHERE version.package = ? ORDER BY version.number, version_report.site
                    """, arguments: [package.hex]
            ).map { row in
                guard let decision = VersionReport.Decision(rawValue: row["decision"]) else {
                    throw DatabaseError(message: "unknown decision \(row["decision"] as String)")
                }
                return SiteReport(
                    site: row["site"],
                    report: VersionReport(
                        version: try row.hash("version"), decision: decision, heldOutLabels: row["held_out_labels"],
                        candidateAUC: row["candidate_auc"], liveAUC: row["live_auc"]),
                    reportedAtMilliseconds: row["reported_at_ms"])
            }
        }
    }
}
