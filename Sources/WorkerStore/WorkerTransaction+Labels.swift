// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Foundation
import GRDB
import ModelPackage

extension WorkerTransaction {
    /// Why a label cannot be taken; nil when it can. A label needs a study this worker has seen and a finding that an
    /// active package looks for.
    public func labelRefusal(_ key: StudyKey, finding: String) throws -> String? {
        guard try study(key) != nil else { return "the study is not known to this worker" }
        let known = Set(try activeFindings().map(\.name))
        if known.contains(finding) { return nil }
        let list = known.sorted().joined(separator: ", ")
        return "no active model looks for “\(finding.prefix(64))”; known findings: \(list.isEmpty ? "none" : list)"
    }

    /// The findings that active packages look for.
    public func activeFindings() throws -> [Finding] {
        try activePackages().flatMap { try $0.decodedManifest().findings }
    }

    /// Adds a label and its audit entry.
    public func add(_ label: Label) throws {
        try db.execute(
            sql: """
                INSERT INTO label (gateway, study_instance_uid, finding, present, source, reader, role, at_ms,
                    authoritative, document, withdrawn_at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                label.study.gateway, label.study.studyInstanceUID, label.finding, label.isPresent,
                label.source.rawValue, label.reader, label.role, label.at, label.isAuthoritative, label.document,
                label.withdrawnAt,
            ])
        try auditLabel("label-added", label, number: db.lastInsertedRowID)
    }

    /// The study stands there as the SHA-256 of its StudyInstanceUID: who has the study can find what was said about it,
    /// and nobody else can tell which one it is. A reader is named where the gateway says who it is, not where a document
    /// does: that is a person's name out of a study.
    private func auditLabel(_ event: String, _ label: Label, number: Int64) throws {
        var detail = [
            "label": String(number), "finding": label.finding, "present": label.isPresent ? "yes" : "no",
            "source": label.source.rawValue, "study": AuditLog.hash(of: label.study.studyInstanceUID),
            "authoritative": label.isAuthoritative ? "yes" : "no",
        ]
        if label.source == .review {
            detail["account"] = label.reader
            detail["role"] = label.role
        }
        try audit(event, detail)
    }

    /// A statement does not count any more; it stays in the history. Without effect on one that was withdrawn before.
    ///
    /// - Parameter at: Unix milliseconds UTC.
    public func withdraw(_ label: Label, at: Int64) throws {
        try db.execute(
            sql: "UPDATE label SET withdrawn_at_ms = ? WHERE id = ? AND withdrawn_at_ms IS NULL",
            arguments: [at, label.id])
        guard db.changesCount > 0 else { return }
        try auditLabel("label-withdrawn", label, number: label.id)
    }

    /// What counts about a finding of a study; nil when nothing does, or nothing is to be learned from the study.
    public func currentLabel(_ study: StudyKey, finding: String) throws -> Bool? {
        try Bool.fetchOne(
            db,
            sql: "SELECT present FROM current_label WHERE gateway = ? AND study_instance_uid = ? AND finding = ?",
            arguments: [study.gateway, study.studyInstanceUID, finding])
    }

    /// Every statement about a study, oldest first, also those that were withdrawn.
    public func labelHistory(_ study: StudyKey) throws -> [Label] {
        try Row.fetchAll(
            db, sql: "SELECT * FROM label WHERE gateway = ? AND study_instance_uid = ? ORDER BY at_ms, id",
            arguments: [study.gateway, study.studyInstanceUID]
        ).map(Label.init)
    }

    /// Every statement that a document makes, about whichever study, also those that were withdrawn.
    public func labels(source: Label.Source, document: String) throws -> [Label] {
        guard !document.isEmpty else { return [] }
        return try Row.fetchAll(
            db, sql: "SELECT * FROM label WHERE source = ? AND document = ? ORDER BY id",
            arguments: [source.rawValue, document]
        ).map(Label.init)
    }

    /// The StudyInstanceUIDs with this AccessionNumber (0008,0050).
    public func studies(accessionNumber: String) throws -> [String] {
        guard !accessionNumber.isEmpty else { return [] }
        return try String.fetchAll(
            db, sql: "SELECT DISTINCT study_instance_uid FROM study WHERE accession_number = ? ORDER BY 1",
            arguments: [accessionNumber])
    }

    /// The gateways' studies with this StudyInstanceUID.
    public func studies(studyInstanceUID: String) throws -> [StudyKey] {
        try Row.fetchAll(
            db, sql: "SELECT gateway, study_instance_uid FROM study WHERE study_instance_uid = ? ORDER BY 1",
            arguments: [studyInstanceUID]
        ).map(StudyKey.init)
    }

    // MARK: Flags

    /// Studies about which something was said since their flags were told.
    public func unstatedStudies(limit: Int) throws -> [StudyKey] {
        try Row.fetchAll(db, sql: "SELECT * FROM unstated LIMIT ?", arguments: [limit]).map(StudyKey.init)
    }

    /// The flags of a study tell what was said about it.
    public func markStated(_ study: StudyKey) throws {
        try db.execute(
            sql: "DELETE FROM unstated WHERE gateway = ? AND study_instance_uid = ?",
            arguments: [study.gateway, study.studyInstanceUID])
    }

    // MARK: Reviews

    /// What was answered to a review; nil when it is new.
    public func review(_ id: String) throws -> (isAccepted: Bool, reason: String)? {
        try Row.fetchOne(db, sql: "SELECT accepted, reason FROM review WHERE review = ?", arguments: [id])
            .map { ($0["accepted"], $0["reason"]) }
    }

    public func saveReview(_ id: String, isAccepted: Bool, reason: String, at: Int64) throws {
        try db.execute(
            sql: "INSERT OR IGNORE INTO review (review, accepted, reason, at_ms) VALUES (?, ?, ?, ?)",
            arguments: [id, isAccepted, reason, at])
    }

    // MARK: Labelled examples

    /// Studies of a package with a kept example and at least one label for its findings, in a fixed order.
    public func labelledExamples(package: String, findings: [String], heldOut: Bool) throws -> [LabelledExample] {
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT gateway, study_instance_uid, file, slices, finding, present FROM example
                JOIN study USING (gateway, study_instance_uid)
                JOIN current_label USING (gateway, study_instance_uid)
                WHERE package = ? AND state = 'ready' AND slices > 0 AND held_out = ?
                    AND finding IN (SELECT value FROM json_each(?))
                ORDER BY file
                """, arguments: [package, heldOut, try Self.json(findings)])
        var examples: [LabelledExample] = []
        while let row = try rows.next() {
            let file: String = row["file"]
            if examples.last?.file != file {
                examples.append(
                    LabelledExample(study: StudyKey(row), file: file, slices: row["slices"], labels: [:]))
            }
            examples[examples.count - 1].labels[row["finding"]] = row["present"]
        }
        return examples
    }

    public func labelCounts(package: String, findings: [String]) throws -> LabelCounts {
        let last =
            try Int64.fetchOne(
                db, sql: "SELECT MAX(last_label) FROM delta WHERE package = ? AND state <> 'refused'",
                arguments: [package]) ?? 0
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT held_out, MAX(current_label.id) AS last, SUM(present) AS present, SUM(1 - present) AS absent
                FROM example JOIN study USING (gateway, study_instance_uid)
                JOIN current_label USING (gateway, study_instance_uid)
                WHERE package = ? AND state = 'ready' AND slices > 0 AND finding IN (SELECT value FROM json_each(?))
                GROUP BY gateway, study_instance_uid, held_out
                """, arguments: [package, try Self.json(findings)])
        var counts = LabelCounts()
        while let row = try rows.next() {
            let newest: Int64 = row["last"]
            counts.lastLabel = max(counts.lastLabel, newest)
            if row["held_out"] {
                counts.heldOut += 1
                continue
            }
            counts.training += 1
            counts.trainingPresent += row["present"]
            counts.trainingAbsent += row["absent"]
            if newest > last { counts.new += 1 }
        }
        return counts
    }

    /// Studies with a label to train on, also those whose example had to make room.
    public func labelledStudies(findings: [String]) throws -> Int {
        try Int.fetchOne(
            db,
            sql: """
                SELECT COUNT(DISTINCT gateway || char(10) || study_instance_uid)
                FROM study JOIN current_label USING (gateway, study_instance_uid)
                WHERE held_out = 0 AND finding IN (SELECT value FROM json_each(?))
                """, arguments: [try Self.json(findings)]) ?? 0
    }

    private static func json(_ names: [String]) throws -> String {
        String(decoding: try JSONEncoder().encode(names), as: UTF8.self)
    }
}

extension Label {
    init(_ row: Row) {
        self.init(
            study: StudyKey(row), finding: row["finding"], isPresent: row["present"],
            source: Source(rawValue: row["source"]) ?? .sheet, reader: row["reader"], role: row["role"],
            at: row["at_ms"], isAuthoritative: row["authoritative"], document: row["document"],
            withdrawnAt: row["withdrawn_at_ms"])
        id = row["id"]
    }
}
