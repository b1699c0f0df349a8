// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import Statements

/// Reports and key object selections that came by C-STORE.
extension WorkerTransaction {
    /// What a document says waits so long for its study.
    private static let longestWaitMilliseconds: Int64 = 30 * 86_400_000
    /// More waiting rows than this push the oldest out.
    private static let mostWaiting = 10_000

    /// Whether what a document says was noted before.
    public func isKnownDocument(gateway: String, sopInstanceUID: String) throws -> Bool {
        try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM document WHERE gateway = ? AND sop_instance_uid = ?)",
            arguments: [gateway, sopInstanceUID]) ?? false
    }

    /// Notes what a document says about some studies of its gateway: at once about those that are here, about the others
    /// when they come.
    public func take(
        _ statement: DocumentStatement, document: String, about studies: [StudyKey], receivedAt: Int64
    ) throws {
        let json = String(decoding: try JSONEncoder().encode(statement), as: UTF8.self)
        for study in studies {
            let isHere = try self.study(study) != nil
            try db.execute(
                sql: """
                    INSERT OR IGNORE INTO document (
                        gateway, sop_instance_uid, study_instance_uid, state, statement, received_at_ms)
                    VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    study.gateway, document, study.studyInstanceUID, isHere ? "taken" : "waiting", isHere ? "" : json,
                    receivedAt,
                ])
            if db.changesCount > 0, isHere { try apply(statement, document: document, to: study, at: receivedAt) }
        }
        try dropOldest(now: receivedAt)
    }

    /// A study is here now: what documents said about it before counts.
    public func takeWaitingDocuments(_ study: StudyKey, at: Int64) throws {
        let waiting = try Row.fetchAll(
            db,
            sql: """
                SELECT sop_instance_uid, statement FROM document
                WHERE gateway = ? AND study_instance_uid = ? AND state = 'waiting' ORDER BY received_at_ms
                """, arguments: [study.gateway, study.studyInstanceUID])
        for row in waiting {
            let document: String = row["sop_instance_uid"]
            let json: String = row["statement"]
            if let statement = try? JSONDecoder().decode(DocumentStatement.self, from: Data(json.utf8)) {
                try apply(statement, document: document, to: study, at: at)
            }
            try db.execute(
                sql: """
                    UPDATE document SET state = 'taken', statement = ''
                    WHERE gateway = ? AND sop_instance_uid = ? AND study_instance_uid = ?
                    """, arguments: [study.gateway, document, study.studyInstanceUID])
        }
    }

    /// A document takes the place of earlier ones, unless they were signed and it is not.
    ///
    /// - Returns: whether something that they said does not count any more.
    @discardableResult
    public func supersede(
        _ predecessors: [String], gateway: String, isAuthoritative: Bool, at: Int64
    ) throws -> Bool {
        var hasChanged = false
        for predecessor in predecessors {
            try db.execute(
                sql: """
                    INSERT INTO superseded (gateway, sop_instance_uid, authoritative) VALUES (?, ?, ?)
                    ON CONFLICT DO UPDATE SET authoritative = MAX(authoritative, excluded.authoritative)
                    """, arguments: [gateway, predecessor, isAuthoritative])
            for label in try labels(source: .report, document: predecessor)
            where label.study.gateway == gateway && label.withdrawnAt == nil
                && (isAuthoritative || !label.isAuthoritative)
            {
                try withdraw(label, at: at)
                hasChanged = true
            }
        }
        return hasChanged
    }

    /// Rows by state: `taken`, `waiting`, `dropped`.
    public func documentCounts() throws -> [String: Int] {
        let rows = try Row.fetchAll(db, sql: "SELECT state, COUNT(*) AS n FROM document GROUP BY state")
        return Dictionary(rows.map { ($0["state"], $0["n"]) }, uniquingKeysWith: +)
    }

    /// Studies of which nothing is to be learned.
    public func rejectedStudyCount() throws -> Int {
        try Int.fetchOne(
            db, sql: "SELECT COUNT(*) FROM (SELECT DISTINCT gateway, study_instance_uid FROM rejection)") ?? 0
    }

    private func apply(_ statement: DocumentStatement, document: String, to study: StudyKey, at: Int64) throws {
        let later = try Bool.fetchOne(
            db, sql: "SELECT authoritative FROM superseded WHERE gateway = ? AND sop_instance_uid = ?",
            arguments: [study.gateway, document])
        let isSuperseded = later.map { $0 || !statement.isAuthoritative } ?? false
        for (finding, isPresent) in statement.findings.sorted(by: { $0.key < $1.key }) {
            try add(
                Label(
                    study: study, finding: finding, isPresent: isPresent,
                    source: statement.kind == .keyObjects ? .keyObjects : .report, reader: statement.reader,
                    role: statement.role, at: statement.at, isAuthoritative: statement.isAuthoritative,
                    document: document, withdrawnAt: isSuperseded ? at : nil))
        }
        guard let title = statement.rejection else { return }
        try db.execute(
            sql: """
                INSERT OR IGNORE INTO rejection (gateway, study_instance_uid, document, title, at_ms)
                VALUES (?, ?, ?, ?, ?)
                """, arguments: [study.gateway, study.studyInstanceUID, document, title, statement.at])
        try audit("study-rejected", ["source": statement.kind.rawValue])
    }

    private func dropOldest(now: Int64) throws {
        try db.execute(
            sql: """
                UPDATE document SET state = 'dropped', statement = ''
                WHERE state = 'waiting' AND (received_at_ms < ? OR received_at_ms < (
                    SELECT received_at_ms FROM document WHERE state = 'waiting'
                    ORDER BY received_at_ms DESC LIMIT 1 OFFSET ?))
                """, arguments: [now - Self.longestWaitMilliseconds, Self.mostWaiting])
    }
}
