// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Tensors
import Torch
import Triage
import WorkerStore

/// Tries a new global version on the site's held-out labels before it may flag anything.
struct VersionGuard {
    let store: WorkerStore
    let shelf: ModelShelf
    let log: Logger
    let now: @Sendable () -> Int64

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
        var why: String
        if let live {
            switch try judgement(row, live, manifest, mayContinue) {
            case nil: return nil
            case .failure(let problem):
                row.state = .refused
                why = "it cannot run: \(problem)"
            case .success(let judgement):
                (row.candidateAUC, row.liveAUC) = (judgement.candidateAUC, judgement.liveAUC)
                switch judgement.decision {
                case .live: (row.state, why) = (.live, "not worse than the live version by more than the margin")
                case .refused: (row.state, why) = (.refused, "worse than the live version by more than the margin")
                case .waiting: (row.state, why) = (.waiting, "too few held-out labels of each class")
                }
            }
        } else {
            (row.state, why) = (.live, "first version of the package")
        }
        row.heldOutLabels = labels
        row.decidedAt = now()
        row.isReportDue = true
        let decided = row
        try store.write { transaction in
            try transaction.save(decided)
            try transaction.audit(
                "version-\(decided.state.rawValue)",
                [
                    "package": package.hex, "version": decided.version.id.hex, "round": String(decided.round),
                    "held_out_labels": String(decided.heldOutLabels), "why": why,
                    "candidate_auc": decided.candidateAUC.map { String($0) } ?? "none",
                    "live_auc": decided.liveAUC.map { String($0) } ?? "none",
                    "margin": String(manifest.guardRule.margin),
                ])
        }
        log.info("version \(decided.version.id.short) of \(manifest.name) is \(decided.state.rawValue): \(why)")
        return decided
    }

    private enum Outcome {
        case success(GuardJudgement)
        case failure(String)
    }

    private func judgement(
        _ candidate: VersionRow, _ live: VersionRow, _ manifest: Manifest, _ mayContinue: () -> Bool
    ) throws -> Outcome? {
        let findings = manifest.findings
        let examples = try store.read {
            try $0.labelledExamples(
                package: live.version.package.hex, findings: findings.map(\.name), heldOut: true)
        }
        TorchModel.useThreads(1)
        let liveModel = try load(live, manifest)
        let candidateModel: TorchModel
        do {
            candidateModel = try load(candidate, manifest)
        } catch {
            return .failure("\(error)")
        }
        var cases: [GuardJudgement.Case] = []
        for example in examples {
            guard mayContinue() else { return nil }
            guard let file = try? ExampleFile(store.examples.appending(path: example.file)) else { continue }
            let liveScores = study(try liveModel.score(file), manifest)
            let candidateScores: [Double]
            do {
                candidateScores = study(try candidateModel.score(file), manifest)
            } catch {
                return .failure("\(error)")
            }
            for (index, finding) in findings.enumerated() {
                guard let isPresent = example.labels[finding.name] else { continue }
                cases.append(
                    GuardJudgement.Case(
                        finding: finding.name, present: isPresent, candidate: candidateScores[index],
                        live: liveScores[index]))
            }
        }
        return .success(GuardJudgement(cases: cases, rule: manifest.guardRule))
    }

    private func load(_ row: VersionRow, _ manifest: Manifest) throws -> TorchModel {
        let file = shelf.directory(row.version.package).appending(path: ModelPackage.modelPath)
        let model = try TorchModel(file: file, manifest: manifest)
        try model.setParameters(try Safetensors.read(shelf.parametersFile(row.version.parameters)))
        return model
    }

    /// The study's probability of each finding.
    private func study(_ slices: [Float], _ manifest: Manifest) -> [Double] {
        let findings = manifest.findings.count
        return (0..<findings).map { finding in
            let values = stride(from: finding, to: slices.count, by: findings).map { Double(slices[$0]) }
            return manifest.sliceRule.probability(of: values) ?? 0
        }
    }
}
