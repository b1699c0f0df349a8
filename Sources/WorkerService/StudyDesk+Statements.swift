// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage
import WorkerStore

/// Flags tell what people said about the study.
extension StudyDesk {
    /// Tells again, in the same state, the flags of studies about which something was said since, here or by
    /// `gantry labels`.
    func restate(_ effects: inout Effects, _ transaction: WorkerTransaction) throws {
        for study in try transaction.unstatedStudies(limit: Self.mostRestated) {
            for flag in try transaction.flags(study) where !flag.document.isEmpty {
                // What an earlier program wrote and this one cannot read is told anew with the next instance.
                guard let told = try? JSONDecoder().decode(Flag.self, from: Data(flag.document.utf8)) else { continue }
                var now = try stated(told, about: study, transaction)
                guard now != told else { continue }
                var row = flag
                row.revision += 1
                now.revision = row.revision
                row.document = String(decoding: try JSONEncoder().encode(now), as: UTF8.self)
                try transaction.save(row)
                if let version = Hash(hex: row.modelVersion) { studies[study]?.readings[version]?.flag = row }
                effects.flags.append(row)
            }
            try transaction.markStated(study)
            effects.hasNewLabels = true
        }
    }

    /// A flag with what was said about its findings until now.
    func stated(_ flag: Flag, about study: StudyKey, _ transaction: WorkerTransaction) throws -> Flag {
        let history = try transaction.labelHistory(study)
        guard !history.isEmpty else { return flag }
        var flag = flag
        for index in flag.findings.indices {
            let finding = flag.findings[index].finding
            let statements = Self.statements(history.filter { $0.finding == finding })
            flag.findings[index].statements = statements.isEmpty ? nil : statements
        }
        return flag
    }

    /// So many studies in one transaction.
    private static let mostRestated = 64

    private static func statements(_ history: [Label]) -> [FindingResult.Statement] {
        let current = Label.current(history)
        var last = Array(history.suffix(FindingResult.mostStatements))
        if let current, !last.isEmpty, !last.contains(where: { $0.id == current.id }) {
            // The one that counts is never left out.
            last[0] = current
        }
        return last.map { label in
            FindingResult.Statement(
                present: label.isPresent, source: label.source.rawValue, reader: label.reader, role: label.role,
                at: label.at, withdrawn: label.withdrawnAt != nil, current: label.id == current?.id)
        }
    }
}
