// SPDX-License-Identifier: GPL-3.0-or-later
import Statements

/// Turns what FHIR resources say into labels.
public struct FHIRImport: Sendable {
    /// DiagnosticReports and Observations that were read.
    public private(set) var read: Int
    /// Resources whose statement counts, new or known before.
    public private(set) var accepted = 0
    /// Resources whose earlier statement does not count any more, because they were entered in error or cancelled.
    public private(set) var withdrawn = 0
    /// Resources that are not about a finding.
    public private(set) var unrelated: Int
    /// Resources that are not final yet.
    public private(set) var unfinished: Int
    public private(set) var refused: [FHIRReading.Refusal]

    /// Takes what can be taken, in one transaction. A resource that was imported before adds nothing; a changed one takes
    /// the place of its earlier statement.
    ///
    /// - Parameters:
    ///   - codes: what codes say, beside the findings' own.
    ///   - at: Unix milliseconds UTC, the time of statements that have none of their own; none is later.
    ///   - read: adds the files.
    public init(
        into store: WorkerStore, codes: CodeMap, at: Int64, _ read: (inout FHIRReading) throws -> Void
    ) throws {
        let findings = try store.read { try $0.activeFindings() }
        var reading = FHIRReading(map: codes.adding(findings))
        try read(&reading)
        let outcome = reading.finish()
        self.read = outcome.resources
        (unrelated, unfinished, refused) = (outcome.unrelated, outcome.unfinished, outcome.refusals)
        let (accepted, withdrawn, refusals) = try store.write { transaction in
            var accepted = 0
            var withdrawn = 0
            var refusals: [FHIRReading.Refusal] = []
            for statement in outcome.statements {
                if statement.isWithdrawn {
                    try Self.withdraw(statement, at: at, in: transaction)
                    withdrawn += 1
                } else if let reason = try Self.take(statement, at: at, in: transaction) {
                    refusals.append(.init(file: statement.file, place: statement.resource, reason: reason))
                } else {
                    accepted += 1
                }
            }
            return (accepted, withdrawn, refusals)
        }
        (self.accepted, self.withdrawn) = (accepted, withdrawn)
        refused += refusals
    }

    private static func withdraw(_ statement: FHIRStatement, at: Int64, in transaction: WorkerTransaction) throws {
        for label in try transaction.labels(source: .fhir, document: statement.resource) {
            try transaction.withdraw(label, at: at)
        }
    }

    /// Nil when the statement counts, else why not.
    private static func take(
        _ statement: FHIRStatement, at: Int64, in transaction: WorkerTransaction
    ) throws -> String? {
        let studies: [String]
        switch try studyInstanceUIDs(statement, transaction) {
        case .success(let found): studies = found
        case .failure(let reason): return reason.text
        }
        let keys = try studies.flatMap { try transaction.studies(studyInstanceUID: $0) }
        guard !keys.isEmpty else { return "its study is not known to this worker" }
        for key in keys {
            for finding in statement.findings.keys.sorted() {
                if let reason = try transaction.labelRefusal(key, finding: finding) { return reason }
            }
        }
        // FHIR writes what it does not know to the second as the whole day.
        let time = min(statement.at ?? at, at)
        let known = try transaction.labels(source: .fhir, document: statement.resource)
        if known.contains(where: { $0.withdrawnAt == nil && $0.at > time }) {
            return "a later version of it was imported before"
        }
        for label in known where label.withdrawnAt == nil {
            let isSame =
                keys.contains(label.study) && statement.findings[label.finding] == label.isPresent && label.at == time
            if !isSame { try transaction.withdraw(label, at: at) }
        }
        let standing = known.filter { $0.withdrawnAt == nil }
        for key in keys {
            for (finding, isPresent) in statement.findings.sorted(by: { $0.key < $1.key }) {
                let isKnown = standing.contains {
                    $0.study == key && $0.finding == finding && $0.isPresent == isPresent && $0.at == time
                }
                guard !isKnown else { continue }
                try transaction.add(
                    Label(
                        study: key, finding: finding, isPresent: isPresent, source: .fhir, reader: statement.reader,
                        role: "", at: time, document: statement.resource))
            }
        }
        return nil
    }

    private struct Refused: Error {
        var text: String
    }

    private static func studyInstanceUIDs(
        _ statement: FHIRStatement, _ transaction: WorkerTransaction
    ) throws -> Result<[String], Refused> {
        guard statement.studies.isEmpty else { return .success(statement.studies) }
        var uids: [String] = []
        for number in statement.accessionNumbers {
            let found = try transaction.studies(accessionNumber: number)
            guard found.count < 2 else {
                return .failure(Refused(text: "\(found.count) studies have its AccessionNumber"))
            }
            uids += found
        }
        return uids.isEmpty
            ? .failure(Refused(text: "no study with its AccessionNumber is known to this worker")) : .success(uids)
    }
}
