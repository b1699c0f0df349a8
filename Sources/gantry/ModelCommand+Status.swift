// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import Triage
import WorkerStore

extension ModelCommand {
    /// `gantry model status`.
    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what is live at a worker, from when on it flags, and how good that is at this site.",
            discussion: """
                The figures rest on the labels of held-out patients, which no model is trained on; in brackets 95 %
                intervals. The worker computes them while it runs.
                """)

        @OptionGroup var target: Target

        func run() throws {
            let lines = try target.store().read { transaction in
                try target.all(transaction).flatMap { try Self.lines($0, transaction) }
            }
            print(lines.joined(separator: "\n"))
        }

        private static func lines(_ live: Target.Live, _ transaction: WorkerTransaction) throws -> [String] {
            let version = live.version.version
            var lines = [
                "\(live.manifest.name): version \(version.id.short), live since \(time(live.version.decidedAt)), "
                    + "after \(live.version.round) rounds"
            ]
            let points = try transaction.operatingPoints(version)
            let figures = try transaction.validations().filter { $0.version == version.id.hex }
            for finding in live.findings {
                let point = points[finding.name]
                lines.append("  \(finding.name): \(origin(point, package: finding.threshold))")
                let row = figures.first { $0.finding == finding.name }
                lines += (row.map(Self.words) ?? ["no label of a held-out patient yet"]).map { "    \($0)" }
            }
            lines += try Self.lastJudgement(package: version.package, transaction)
            let history = try transaction.operatingPointHistory(package: version.package)
            for past in history.suffix(10) where live.findings.contains(where: { $0.name == past.finding }) {
                let threshold = past.threshold.map { "\($0)" } ?? "the package's"
                let goal = past.goal.map { " for a \($0)" } ?? ""
                let who = past.by.isEmpty ? "" : " by \(past.by)"
                let why = past.reason.isEmpty ? "" : ": \(past.reason)"
                lines.append(
                    "  \(time(past.at))  \(past.finding) \(past.origin.rawValue)\(who), version "
                        + "\(past.version.id.short), threshold \(threshold)\(goal)\(why)")
            }
            return lines
        }

        private static func origin(_ point: OperatingPointRow?, package: Double) -> String {
            guard let threshold = point?.threshold else { return "flagged from \(package) on (package)" }
            return "flagged from \(threshold) on (this site, for a \(point?.goal?.description ?? "goal"))"
        }

        private static func words(_ row: ValidationRow) -> [String] {
            let figures = row.figures
            var lines = [
                "\(figures.positives + figures.negatives) labels, \(figures.positives) of them present: sensitivity "
                    + figures.sensitivity.cells.joined(separator: " ") + ", specificity "
                    + figures.specificity.cells.joined(separator: " ")
            ]
            if let area = row.areaUnderCurve {
                lines[0] += String(format: ", AUC %.3f (%.3f–%.3f)", area.value, area.low, area.high)
            }
            if let chosen = row.calibrationLabels {
                lines.append("\(chosen) labels chose the threshold; figures on the same labels flatter a little")
            }
            return lines
        }

        private static func time(_ unixMilliseconds: Int64) -> String {
            Date(timeIntervalSince1970: Double(unixMilliseconds) / 1000).formatted(.iso8601)
        }
    }
}
