// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Statements
import WorkerStore

/// Reports and key object selections of the department.
///
/// They are no part of what a study consists of: they neither open it nor keep it waiting.
extension StudyDesk {
    /// A study that a document speaks of, at most so many.
    private static let mostStudies = 16

    /// Commits what a document says about studies, once.
    func take(
        _ document: ReportDocument, _ kind: DocumentKind, _ reading: InstanceReading.Identity, _ arrival: Arrival,
        _ effects: inout Effects, _ transaction: WorkerTransaction
    ) throws {
        let own = reading.study.studyInstanceUID
        if try transaction.isKnownDocument(gateway: arrival.gateway, sopInstanceUID: reading.sopInstanceUID) {
            return effects.acknowledge(arrival, .labelled, study: own)
        }
        // NumberOfStudyRelatedInstances counts documents too.
        studies[StudyKey(gateway: arrival.gateway, studyInstanceUID: own)]?.completeness.addDocument()
        let findings = try transaction.activeFindings()
        var statement = document.statement(
            kind, by: codes.adding(findings), zone: .current, receivedAt: arrival.receivedAt)
        let known = Set(findings.map(\.name))
        statement.findings = statement.findings.filter { known.contains($0.key) }
        let hasSuperseded = try transaction.supersede(
            kind == .report ? document.predecessors : [], gateway: arrival.gateway,
            isAuthoritative: statement.isAuthoritative, at: arrival.receivedAt)
        guard !statement.isEmpty else {
            if hasSuperseded { return effects.acknowledge(arrival, .labelled, study: own) }
            let what = kind == .keyObjects ? "the title of this key object selection" : "no code in this report"
            return effects.acknowledge(
                arrival, .unlabelled, study: own,
                reason: "\(what) says \(kind == .keyObjects ? "nothing" : "anything") about a finding of a live model")
        }
        let evidence = document.studies.filter { !$0.isEmpty }
        let studies = evidence.isEmpty ? [own] : Array(evidence.prefix(Self.mostStudies))
        try transaction.take(
            statement, document: reading.sopInstanceUID,
            about: studies.map { StudyKey(gateway: arrival.gateway, studyInstanceUID: $0) },
            receivedAt: arrival.receivedAt)
        effects.hasDocuments = true
        effects.hasNewLabels = true
        effects.acknowledge(arrival, .labelled, study: own)
    }
}
