// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Statistics
import Torch
import Triage
import WorkerStore

/// Tries a new global version on the site's held-out labels and its newest studies before it may flag anything.
struct VersionGuard {
    /// Newest studies, with or without a label, on which the share of flagged ones is judged.
    static let recentStudies = 64

    let store: WorkerStore
    let shelf: ModelShelf
    let log: Logger
    let now: @Sendable () -> Int64
    /// What the site asks of every package's guard rule.
    var floor = GuardFloor()

    /// Judges the version that waits for it, if one does, and commits the decision with its audit entry.
    ///
    /// - Parameter mayContinue: called before each study; may block while triage has work; false stops without a
    ///   decision.
    /// - Returns: the row with its new state; nil when nothing was decided.
    func judge(package: Hash, mayContinue: () -> Bool) throws -> VersionRow? {
        let (candidate, live, manifest) = try store.read { transaction in
            (
                try transaction.undecidedVersion(package: package), try transaction.liveVersion(package: package),
                try transaction.package(package)?.decodedManifest()
            )
        }
        guard var row = candidate, let manifest else { return nil }
        let labels = try store.read {
            try $0.labelCounts(package: package.hex, findings: manifest.findings.map(\.name)).heldOut
        }
        // A version that waits is tried again when there is more to judge it by.
        if row.state == .waiting, labels <= row.heldOutLabels { return nil }
        let rule = manifest.guardRule.bounded(by: floor)
        var (reason, why) = ("", "")
        var figures = GuardFigures()
        var scored: [Scored] = []
        if let live {
            switch try judgement(row, live, manifest, rule, mayContinue) {
            case nil: return nil
            case .failure(let problem):
                row.state = .refused
                (reason, why) = ("cannot-run", "it cannot run: \(problem)")
            case .success(let judgement, let studies):
                scored = studies
                (row.candidateAUC, row.liveAUC) = (judgement.candidateAUC, judgement.liveAUC)
                figures = judgement.figures
                switch judgement.decision {
                case .live: (row.state, why) = (.live, "not worse than the live version by more than the rule allows")
                case .refused:
                    row.state = .refused
                    reason = judgement.faults.first?.reason.rawValue ?? ""
                    why = judgement.faults.map { ($0.finding.map { "\($0): " } ?? "") + $0.text }
                        .joined(separator: "; ")
                case .waiting:
                    (row.state, reason) = (.waiting, "too-few-labels")
                    why = "too few held-out labels of each class"
                }
            }
        } else {
            // The first version of a package is an administrator's choice.
            return nil
        }
        row.heldOutLabels = labels
        row.decidedAt = now()
        row.isReportDue = true
        let decided = row
        let isDecided = try store.write { transaction in
            // An administrator may have decided otherwise while this took its time.
            guard let row = try transaction.package(package), row.isActive, !row.isPinned,
                try transaction.liveVersion(package: package)?.version == live?.version,
                try transaction.version(decided.version.id) != nil
            else { return false }
            try transaction.save(decided)
            try transaction.save(
                VersionJudgement(version: decided.version.id, reason: reason, why: why, figures: figures))
            if decided.state == .live, let live {
                try keep(scored, of: decided, transaction)
                try carryOperatingPoints(from: live, to: decided, scored, transaction)
            }
            var detail = [
                "package": package.hex, "version": decided.version.id.hex, "round": String(decided.round),
                "held_out_labels": String(decided.heldOutLabels), "why": why,
                "candidate_auc": decided.candidateAUC.map { String($0) } ?? "none",
                "live_auc": decided.liveAUC.map { String($0) } ?? "none",
                "margin": String(rule.margin), "tolerance": String(rule.tolerance),
                "recent_studies": String(figures.recentStudies),
            ]
            if !reason.isEmpty { detail["reason"] = reason }
            for (name, value) in figures.named { detail[name] = value.map { String($0) } }
            try transaction.audit("version-\(decided.state.rawValue)", detail)
            return true
        }
        guard isDecided else { return nil }
        log.info("version \(decided.version.id.short) of \(manifest.name) is \(decided.state.rawValue): \(why)")
        return decided
    }

    private enum Outcome {
        case success(GuardJudgement, [Scored])
        case failure(String)
    }

    /// What both versions say about a held-out study.
    private struct Scored {
        var study: StudyKey
        var cases: [GuardJudgement.Case]
    }

    private func judgement(
        _ candidate: VersionRow, _ live: VersionRow, _ manifest: Manifest, _ rule: GuardRule, _ mayContinue: () -> Bool
    ) throws -> Outcome? {
        let findings = manifest.findings
        let (labelled, newest) = try store.read {
            (
                try $0.labelledExamples(
                    package: live.version.package.hex, findings: findings.map(\.name), heldOut: true),
                try $0.recentExamples(package: live.version.package.hex, limit: Self.recentStudies)
            )
        }
        let held = Set(labelled.map(\.file))
        let examples = labelled + newest.filter { !held.contains($0.file) }
        let recentFiles = Set(newest.map(\.file))
        let liveModel = try shelf.load(live, manifest)
        var candidateModel: TorchModel
        do {
            candidateModel = try shelf.load(candidate, manifest)
        } catch  where Self.isOwn(error) {
            return .failure("\(error)")
        }
        var scored: [Scored] = []
        var recent: [GuardJudgement.Recent] = []
        for example in examples {
            guard mayContinue() else { return nil }
            guard let file = try? ExampleFile(store.examples.appending(path: example.file)) else { continue }
            let liveScores = manifest.studyProbabilities(try liveModel.score(file))
            let candidateScores: [Double]
            do {
                candidateScores = manifest.studyProbabilities(
                    try score(file, candidate, manifest, with: &candidateModel))
            } catch  where Self.isOwn(error) {
                return .failure("\(error)")
            }
            let cases = findings.enumerated().compactMap { index, finding in
                example.labels[finding.name].map {
                    GuardJudgement.Case(
                        finding: finding.name, present: $0, candidate: candidateScores[index], live: liveScores[index])
                }
            }
            if held.contains(example.file) { scored.append(Scored(study: example.study, cases: cases)) }
            guard recentFiles.contains(example.file) else { continue }
            for (index, finding) in findings.enumerated() {
                recent.append(
                    GuardJudgement.Recent(
                        finding: finding.name, candidate: candidateScores[index], live: liveScores[index]))
            }
        }
        let points = try store.read { try $0.operatingPoints(live.version) }
        let thresholds = Dictionary(
            findings.map { finding -> (String, GuardJudgement.Thresholds) in
                let point = points[finding.name]
                let carried = point.flatMap { self.carried($0, to: candidate, scored) }
                return (
                    finding.name,
                    GuardJudgement.Thresholds(
                        candidate: carried?.threshold ?? finding.threshold,
                        live: point?.threshold ?? finding.threshold)
                )
            }, uniquingKeysWith: { $1 })
        return .success(
            GuardJudgement(cases: scored.flatMap(\.cases), recent: recent, thresholds: thresholds, rule: rule), scored)
    }

    /// In a second process where one ended, because the cause may lie outside the version.
    private func score(
        _ file: ExampleFile, _ version: VersionRow, _ manifest: Manifest, with model: inout TorchModel
    ) throws -> [Float] {
        do {
            return try model.score(file)
        } catch TorchError.process(let failure) where failure.kind != .forbidden {
            model = try shelf.load(version, manifest)
            return try model.score(file)
        }
    }

    /// Whether an error is a reason to refuse the version. A forbidden act is one to set the whole package aside.
    private static func isOwn(_ error: any Error) -> Bool {
        switch error {
        case TorchError.cancelled, TorchError.unavailable: false
        case TorchError.process(let failure): failure.kind != .forbidden
        default: true
        }
    }

    // MARK: A version that goes live

    /// Figures on held-out labels need no second scoring.
    private func keep(_ scored: [Scored], of version: VersionRow, _ transaction: WorkerTransaction) throws {
        for study in scored {
            let probabilities = study.cases.map { ($0.finding, Optional($0.candidate)) }
            try transaction.saveHeldOutScores(
                study.study, version: version.version.id, Dictionary(probabilities, uniquingKeysWith: { $1 }),
                isFlag: false)
        }
    }

    /// In the transaction in which the version goes live, so that none of its flags uses another threshold.
    private func carryOperatingPoints(
        from live: VersionRow, to next: VersionRow, _ scored: [Scored], _ transaction: WorkerTransaction
    ) throws {
        for (_, point) in try transaction.operatingPoints(live.version).sorted(by: { $0.key < $1.key }) {
            guard let carried = carried(point, to: next, scored) else { continue }
            try transaction.add(carried)
            if carried.origin == .lost { log.warnOfLost(carried) }
        }
    }

    /// The site's operating point as the next version would have it.
    private func carried(_ point: OperatingPointRow, to next: VersionRow, _ scored: [Scored]) -> OperatingPointRow? {
        var seen: Set<String> = []
        let cases = scored.filter { seen.insert($0.study.studyInstanceUID).inserted }
            .flatMap(\.cases).filter { $0.finding == point.finding }
        return point.carried(
            to: next.version, old: cases.map { ScoredStudy(probability: $0.live, isPresent: $0.present) },
            new: cases.map { ScoredStudy(probability: $0.candidate, isPresent: $0.present) }, at: next.decidedAt)
    }
}

extension Logger {
    /// Says that a version does without the threshold of this site, and why.
    func warnOfLost(_ point: OperatingPointRow) {
        warning(
            """
            version \(point.version.id.short) flags \(point.finding) from the package's threshold on, not this site's: \
            \(point.reason); gantry model calibrate chooses a new one
            """)
    }
}
