// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage
import WorkerStore

extension ModelCommand.Status {
    /// What the guard last decided about a version that came after the live one, and why.
    static func lastJudgement(package: Hash, _ transaction: WorkerTransaction) throws -> [String] {
        guard let row = try transaction.lastJudgedVersion(package: package) else { return [] }
        let judgement = try transaction.judgement(of: row.version.id)
        var lines = ["  guard: version \(row.version.id.short) \(row.state.rawValue)"]
        if let judgement { lines[0] += ": \(judgement.why)" }
        var figures = [pair("AUC", row.liveAUC, row.candidateAUC)]
        if let found = judgement?.figures {
            figures.append(pair("sensitivity", found.liveSensitivity, found.candidateSensitivity))
            figures.append(pair("specificity", found.liveSpecificity, found.candidateSpecificity))
            figures.append(
                pair("flagged of the newest \(found.recentStudies)", found.liveFlagged, found.candidateFlagged))
        }
        let known = figures.compactMap { $0 }
        if !known.isEmpty {
            lines.append("    before → with it, on \(row.heldOutLabels) labels: " + known.joined(separator: ", "))
        }
        return lines
    }

    private static func pair(_ name: String, _ live: Double?, _ candidate: Double?) -> String? {
        guard let live, let candidate else { return nil }
        return String(format: "%@ %.3f → %.3f", name, live, candidate)
    }
}
