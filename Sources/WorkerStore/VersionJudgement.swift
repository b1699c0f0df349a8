// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage
import Triage

/// Why the guard decided as it did about a version.
public struct VersionJudgement: Sendable, Equatable {
    /// `ModelVersion.id`
    public var version: Hash
    /// A name, such as `flagged-share`; empty when nothing is against the version.
    public var reason: String
    /// The same for people, with the figures.
    public var why: String
    public var figures: GuardFigures

    public init(version: Hash, reason: String, why: String, figures: GuardFigures = GuardFigures()) {
        self.version = version
        self.reason = reason
        self.why = why
        self.figures = figures
    }
}

extension WorkerStore {
    static let judgements = """
        CREATE TABLE version_judgement (
            model_version TEXT PRIMARY KEY,
            reason TEXT NOT NULL,
            why TEXT NOT NULL,
            candidate_sensitivity REAL,
            live_sensitivity REAL,
            candidate_specificity REAL,
            live_specificity REAL,
            candidate_flagged REAL,
            live_flagged REAL,
            recent_studies INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        -- The version that the hub named last, by package: an older one that it names again is to be tried again.
        CREATE TABLE hub_version (
            package TEXT PRIMARY KEY,
            model_version TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        """
}

extension WorkerTransaction {
    public func save(_ judgement: VersionJudgement) throws {
        let figures = judgement.figures
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO version_judgement (
                    model_version, reason, why, candidate_sensitivity, live_sensitivity, candidate_specificity,
                    live_specificity, candidate_flagged, live_flagged, recent_studies)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                judgement.version.hex, judgement.reason, judgement.why, figures.candidateSensitivity,
                figures.liveSensitivity, figures.candidateSpecificity, figures.liveSpecificity,
                figures.candidateFlagged, figures.liveFlagged, figures.recentStudies,
            ])
    }

    /// nil when the version was not judged, or by an earlier release.
    public func judgement(of version: Hash) throws -> VersionJudgement? {
        try Row.fetchOne(
            db, sql: "SELECT * FROM version_judgement WHERE model_version = ?", arguments: [version.hex]
        ).map { row in
            var figures = GuardFigures()
            figures.candidateSensitivity = row["candidate_sensitivity"]
            figures.liveSensitivity = row["live_sensitivity"]
            figures.candidateSpecificity = row["candidate_specificity"]
            figures.liveSpecificity = row["live_specificity"]
            figures.candidateFlagged = row["candidate_flagged"]
            figures.liveFlagged = row["live_flagged"]
            figures.recentStudies = row["recent_studies"]
            return VersionJudgement(version: version, reason: row["reason"], why: row["why"], figures: figures)
        }
    }

    /// The newest examples of a package, newest first, with or without labels, which are left out here.
    public func recentExamples(package: String, limit: Int) throws -> [LabelledExample] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT gateway, study_instance_uid, file, slices FROM example
                WHERE package = ? AND state = 'ready' AND slices > 0 ORDER BY created_at_ms DESC, file LIMIT ?
                """, arguments: [package, limit]
        ).map { LabelledExample(study: StudyKey($0), file: $0["file"], slices: $0["slices"], labels: [:]) }
    }

    /// `ModelVersion.id` of the version that the hub named last for a package; nil before the first.
    public func hubVersion(package: Hash) throws -> Hash? {
        try String.fetchOne(
            db, sql: "SELECT model_version FROM hub_version WHERE package = ?", arguments: [package.hex]
        ).flatMap(Hash.init(hex:))
    }

    public func noteHubVersion(_ version: ModelVersion) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO hub_version (package, model_version) VALUES (?, ?)",
            arguments: [version.package.hex, version.id.hex])
    }
}
