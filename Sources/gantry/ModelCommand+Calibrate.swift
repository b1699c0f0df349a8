// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import Statistics
import Triage
import WorkerStore

extension ModelCommand {
    /// `gantry model calibrate`.
    struct Calibrate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Choose from which probability on a finding is flagged, on this site's own labels.",
            discussion: """
                Uses the labels of held-out patients, which no model is trained on, and what the live version says about
                their studies. --sensitivity 0.95 takes the highest threshold that flags 95 % of the studies with the
                finding; --specificity 0.9 the lowest one that leaves 90 % of the studies without it unflagged. Says what
                that means, with 95 % intervals, draws the ROC curve when asked to, and notes the operating point and
                who chose it in the audit log. A worker that runs uses it within seconds for the studies that come;
                what was flagged before stays as it was told.

                Another version of the model has other probabilities: when one goes live, the same goal is chosen anew
                for it on the same labels; if that fails, the package's threshold takes over, and the audit log says so.

                Example:
                  gantry model calibrate --state /var/lib/gantry/worker --sensitivity 0.95 --picture roc.svg
                """)

        @OptionGroup var target: Target

        @Option(help: "Share of the studies with the finding that has to be flagged, 0 to 1.")
        var sensitivity: Double?

        @Option(help: "Share of the studies without the finding that must not be flagged, 0 to 1.")
        var specificity: Double?

        @Option(help: "This very threshold, 0 to 1.")
        var threshold: Double?

        @ArgumentParser.Flag(help: "Go back to the package's own threshold.")
        var reset = false

        @Option(help: "How many labels that say present, and how many that say absent, it takes at least.")
        var minimumLabels = 20

        @Option(
            help: ArgumentHelp("Draw the ROC curve with its interval and the chosen point.", valueName: "file.svg"),
            completion: .file(extensions: ["svg"]))
        var picture: String?

        @ArgumentParser.Flag(help: "Say what would be chosen and change nothing.")
        var dryRun = false

        func validate() throws {
            let goals = [sensitivity, specificity, threshold].compactMap(\.self)
            guard goals.count + (reset ? 1 : 0) == 1 else {
                throw ValidationError("give one of --sensitivity, --specificity, --threshold and --reset")
            }
            guard goals.allSatisfy({ (0...1).contains($0) }) else {
                throw ValidationError("a share or threshold is between 0 and 1, for example 0.95")
            }
            guard minimumLabels >= 1 else { throw ValidationError("--minimum-labels is at least 1") }
            if reset, picture != nil { throw ValidationError("--reset chooses nothing that could be drawn") }
        }

        private var goal: CalibrationGoal? {
            if let sensitivity { return .sensitivity(sensitivity) }
            if let specificity { return .specificity(specificity) }
            return threshold.map { .threshold($0) }
        }

        func run() throws {
            let store = try target.store()
            do {
                if !dryRun { try store.recoverOperatingPoints() }
                // One transaction, so that no other version goes live between looking and choosing.
                let lines = try dryRun ? store.read(decide) : store.write(decide)
                print(lines.joined(separator: "\n"))
                if !dryRun { try store.copyOperatingPoints() }
            } catch let refusal as CalibrationRefusal {
                FileHandle.standardError.write(Data("refused: \(refusal)\n\(advice(refusal))\n".utf8))
                throw ExitCode.failure
            }
        }

        private func decide(_ transaction: WorkerTransaction) throws -> [String] {
            let chosen = try target.choose(transaction)
            let finding = try chosen.only
            let version = chosen.version.version
            let at = Int64(Date().timeIntervalSince1970 * 1000)
            let head = "\(chosen.manifest.name), version \(version.id.short), \(finding.name)"
            guard let goal else {
                let point = OperatingPointRow(
                    version: version, finding: finding.name, origin: .reset, by: NSUserName(), at: at)
                if !dryRun { try transaction.add(point) }
                return ["\(head): threshold \(finding.threshold) of the package", next]
            }
            let studies = try transaction.heldOutStudies(version: version.id)[finding.name] ?? []
            let calibration = try Calibration(studies, goal: goal, minimumPerClass: minimumLabels)
            let words = calibration.words(finding: finding.title)
            let before = try transaction.operatingPoints(version)[finding.name]?.threshold ?? finding.threshold
            var lines = [
                "\(head): threshold \(calibration.threshold) for a \(goal), was \(before)", "",
            ]
            lines +=
                words + [
                    "Labels come from studies that somebody judged: where mostly flagged studies are",
                    "judged, what the model misses is not among them, and sensitivity looks too high.", "",
                    calibration.table,
                ]
            if let picture {
                let caption = [String(format: "Threshold %.4f for a \(goal).", calibration.threshold)] + words
                let file = ROCPicture(
                    calibration.curve, threshold: calibration.threshold, title: finding.title,
                    subtitle: "\(chosen.manifest.name), version \(version.id.short)", caption: caption)
                try Data(file.svg.utf8).write(to: URL(filePath: picture), options: .atomic)
                lines += ["", "\(picture): the ROC curve"]
            }
            if !dryRun {
                try transaction.add(
                    OperatingPointRow(
                        calibration, version: version, finding: finding.name, origin: .calibrated,
                        minimumPerClass: minimumLabels, by: NSUserName(), at: at))
            }
            return lines + ["", next]
        }

        private var next: String {
            dryRun
                ? "nothing was changed (--dry-run)"
                : "noted in the audit log; a running worker uses it within seconds for the studies that come"
        }

        private func advice(_ refusal: CalibrationRefusal) -> String {
            switch refusal {
            case .tooFewLabels:
                """
                Held-out labels are those of a fixed share of the patients (held_out_share), whose studies the worker has
                scored. Take more labels (gantry labels import, agree and disagree on the worklist), start the worker so
                that it scores their studies, or ask for fewer with --minimum-labels.
                """
            case .outOfReach: "Ask for less, or look at the curve: --threshold 0.5 --dry-run --picture roc.svg"
            }
        }
    }
}

extension Calibration {
    /// What other goals would have cost.
    fileprivate var table: String {
        var rows = [["goal", "threshold", "sensitivity", "", "specificity", ""]]
        for share in [0.8, 0.9, 0.95, 0.98, 1] {
            guard let threshold = curve.threshold(for: .sensitivity(share)) else { continue }
            rows.append(Self.row("sensitivity \(share)", threshold, curve.figures(at: threshold)))
        }
        rows.append(Self.row("chosen", threshold, figures))
        return rows.aligned()
    }

    private static func row(_ goal: String, _ threshold: Double, _ figures: OperatingFigures) -> [String] {
        [goal, String(format: "%.4f", threshold)] + figures.sensitivity.cells + figures.specificity.cells
    }
}

extension Proportion? {
    /// The share and its interval.
    var cells: [String] {
        guard let self else { return ["unknown", ""] }
        let interval = self.interval
        return [
            String(format: "%.3f", self.value),
            String(format: "(%.3f–%.3f)", interval.lowerBound, interval.upperBound),
        ]
    }
}
