// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import GRDB
import ModelPackage

extension HubStore {
    /// Decisions of one site about one version; a site that changes its mind more often is not heard any more.
    public static let mostDecisions = 8
    /// A report beyond these is counted under this reason.
    public static let tooManyReports = "too-many-reports"

    /// Keeps a site's newest word on a version; a changed decision is also in the audit log.
    ///
    /// - Returns: nil when there is no such version; false when it was kept out, since the site has changed its mind too
    ///   often.
    public func recordReport(_ report: VersionReport, from site: String, atMilliseconds now: Int64) throws -> Bool? {
        try pool.write { db in
            guard
                try Bool.fetchOne(
                    db, sql: "SELECT 1 FROM version WHERE id = ?", arguments: [report.version.hex]) != nil
            else { return nil }
            let before = try Row.fetchOne(
                db, sql: "SELECT decision, changes FROM version_report WHERE version = ? AND site = ?",
                arguments: [report.version.hex, site])
            let isChange = (before?["decision"] as String?) != report.decision.rawValue
            let changes = (before?["changes"] as Int? ?? 0) + (isChange ? 1 : 0)
            guard changes <= Self.mostDecisions else {
                try Self.count(
                    db, site: site, round: 0, reason: Self.tooManyReports, 1, ["version": report.version.hex], now)
                return false
            }
            let figures = report.figures
            try db.execute(
                sql: """
                    INSERT INTO version_report (
                        version, site, decision, held_out_labels, candidate_auc, live_auc, reported_at_ms, changes,
                        reason, candidate_sensitivity, live_sensitivity, candidate_specificity, live_specificity,
                        candidate_flagged, live_flagged, recent_studies)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (version, site) DO UPDATE SET decision = excluded.decision,
                        held_out_labels = excluded.held_out_labels, candidate_auc = excluded.candidate_auc,
                        live_auc = excluded.live_auc, reported_at_ms = excluded.reported_at_ms,
                        changes = excluded.changes, reason = excluded.reason,
                        candidate_sensitivity = excluded.candidate_sensitivity,
                        live_sensitivity = excluded.live_sensitivity,
                        candidate_specificity = excluded.candidate_specificity,
                        live_specificity = excluded.live_specificity,
                        candidate_flagged = excluded.candidate_flagged, live_flagged = excluded.live_flagged,
                        recent_studies = excluded.recent_studies
                    """,
                arguments: [
                    report.version.hex, site, report.decision.rawValue, report.heldOutLabels, report.candidateAUC,
                    report.liveAUC, now, changes, report.reason, figures?.candidateSensitivity,
                    figures?.liveSensitivity, figures?.candidateSpecificity, figures?.liveSpecificity,
                    figures?.candidateFlagged, figures?.liveFlagged, figures?.recentStudies,
                ])
            if isChange {
                var detail = [
                    "site": site, "version": report.version.hex, "decision": report.decision.rawValue,
                    "held_out_labels": String(report.heldOutLabels),
                ]
                detail["reason"] = report.reason
                try AuditLog.append(db, event: "version-reported", detail: detail, atMilliseconds: now)
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
                        candidateAUC: row["candidate_auc"], liveAUC: row["live_auc"], reason: row["reason"],
                        figures: (row["recent_studies"] as Int?).map { studies in
                            VersionReport.Figures(
                                candidateSensitivity: row["candidate_sensitivity"],
                                liveSensitivity: row["live_sensitivity"],
                                candidateSpecificity: row["candidate_specificity"],
                                liveSpecificity: row["live_specificity"], candidateFlagged: row["candidate_flagged"],
                                liveFlagged: row["live_flagged"], recentStudies: studies)
                        }),
                    reportedAtMilliseconds: row["reported_at_ms"])
            }
        }
    }
}
