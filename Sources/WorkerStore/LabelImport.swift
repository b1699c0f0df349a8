// SPDX-License-Identifier: GPL-3.0-or-later

/// Turns the rows of a sheet into labels.
public struct LabelImport: Sendable {
    public private(set) var read: Int
    public private(set) var accepted = 0
    /// In the order of the file.
    public private(set) var refused: [LabelSheet.Refusal]

    /// Takes what can be taken, in one transaction; repeats what was said before count as accepted and add nothing.
    ///
    /// - Parameter at: Unix milliseconds UTC, the time of the statements.
    public init(_ sheet: LabelSheet, into store: WorkerStore, at: Int64) throws {
        read = sheet.entries.count + sheet.refusals.count
        refused = sheet.refusals
        let (accepted, refusals) = try store.write { transaction in
            var accepted = 0
            var refusals: [LabelSheet.Refusal] = []
            for entry in sheet.entries {
                if let reason = try Self.take(entry, at: at, in: transaction) {
                    refusals.append(LabelSheet.Refusal(line: entry.line, reason: reason))
                } else {
                    accepted += 1
                }
            }
            return (accepted, refusals)
        }
        self.accepted = accepted
        refused = (refused + refusals).sorted { $0.line < $1.line }
    }

    private static func take(
        _ entry: LabelSheet.Entry, at: Int64, in transaction: WorkerTransaction
    ) throws -> String? {
        var study = entry.studyInstanceUID
        if study.isEmpty {
            let studies = try transaction.studies(accessionNumber: entry.accessionNumber)
            guard let only = studies.first else { return "no study with this AccessionNumber is known to this worker" }
            guard studies.count == 1 else {
                return "\(studies.count) studies have this AccessionNumber; give the StudyInstanceUID"
            }
            study = only
        }
        let keys = try transaction.studies(studyInstanceUID: study)
        if keys.isEmpty { return "the study is not known to this worker" }
        // A sheet is about the patient's study, whichever gateways hold it.
        for key in keys {
            if let reason = try transaction.labelRefusal(key, finding: entry.finding) { return reason }
            let label = Label(
                study: key, finding: entry.finding, isPresent: entry.isPresent, source: .sheet, reader: entry.reader,
                role: "", at: at)
            // A sheet that is imported again must not outdo what was said since.
            let last = try transaction.labelHistory(key).last {
                $0.finding == entry.finding && $0.source == .sheet && $0.reader == entry.reader
            }
            if let last, last.isPresent == label.isPresent { continue }
            try transaction.add(label)
        }
        return nil
    }
}
