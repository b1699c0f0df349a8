// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import Torch

extension ModelCommand {
    /// `gantry model new`.
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a trainable package without Python.",
            discussion: """
                Writes a TorchScript model with random weights and the manifest around it; it knows nothing until it has
                been trained on labels. Either name a task, or describe your own:

                  gantry model new --task head-ct-haemorrhage --out packages/head-ct
                  gantry model new --modality CT --body-part CHEST --finding pneumothorax --urgency critical \\
                      --window -600,1500 --out packages/pneumothorax
                """)

        enum Architecture: String, ExpressibleByArgument, CaseIterable {
            case smallCNN = "small-cnn"
        }

        @Option(help: "The network: about 100,000 parameters, GroupNorm, made for 128 × 128 and up.")
        var architecture = Architecture.smallCNN

        @Option(help: "A task whose manifest is known, instead of the options below.")
        var task: ModelTask?

        @Option(help: "Modality that the model takes, for example CT; may be repeated.")
        var modality: [String] = []

        @Option(help: "BodyPartExamined that the model takes; may be repeated, none: any.")
        var bodyPart: [String] = []

        @Option(help: "Short name of a finding, for example pneumothorax; may be repeated.")
        var finding: [String] = []

        @Option(help: "Urgency of a study in which a finding is positive.")
        var urgency = Urgency.urgent

        @Option(help: "Height and width of the model's input in pixels.")
        var size = 128

        @Option(
            parsing: .unconditionalSingleValue,
            help: ArgumentHelp(
                "A window on rescaled values as one input channel; may be repeated, none: percentiles of the image.",
                valueName: "center,width"))
        var window: [Window] = []

        @Option(help: "Short name of the package; the first finding's unless given.")
        var name: String?

        @Option(help: "Draws the weights: the same seed gives the same package.")
        var seed: UInt64 = 1

        @Option(help: "The directory to make.", completion: .directory)
        var out: String

        struct Window: ExpressibleByArgument {
            var center: Double
            var width: Double

            init?(argument: String) {
                let parts = argument.split(separator: ",").map { Double($0) }
                guard parts.count == 2, let center = parts[0], let width = parts[1] else { return nil }
                self.center = center
                self.width = width
            }
        }

        func validate() throws {
            if task == nil, modality.isEmpty || finding.isEmpty {
                throw ValidationError(
                    "say what the package is for: --task (\(ModelTask.allCases.map(\.rawValue).joined(separator: ", "))) or "
                        + "--modality and --finding")
            }
            if task != nil, !(modality.isEmpty && bodyPart.isEmpty && finding.isEmpty && window.isEmpty) {
                throw ValidationError("--task brings its own modality, findings and windows; leave the others out")
            }
        }

        func run() throws {
            var manifest = task?.manifest ?? described
            if let name { manifest.name = name }
            if task != nil { (manifest.preprocessing.height, manifest.preprocessing.width) = (size, size) }
            let package = try PackageWriter.write(manifest: manifest, seed: seed, to: URL(filePath: out))
            print("\(out): package \(package.manifest.name), \(package.hash.short)")
            print("next: gantry model check \(out)")
        }

        private var described: Manifest {
            let titles = finding.map { $0.replacing("-", with: " ").capitalizedFirst }
            let what = titles.joined(separator: ", ").lowercased()
            return Manifest(
                name: finding[0], title: titles.joined(separator: ", "),
                intendedUse: "Sorts studies so that those with a suspected \(what) are read first; not a diagnosis.",
                takes: Applicability(modalities: modality, bodyParts: bodyPart),
                preprocessing: Preprocessing(
                    height: size, width: size,
                    channels: window.isEmpty
                        ? [.percentiles] : window.map { .window(center: $0.center, width: $0.width) }),
                findings: zip(finding, titles).map {
                    Finding(name: $0, title: $1, code: nil, threshold: 0.5, urgency: urgency)
                },
                sliceRule: .maximum, training: ModelTask.training, guardRule: GuardRule(),
                explanation: SmallCNN.explanation)
        }
    }
}

extension ModelTask: ExpressibleByArgument {}
extension Urgency: ExpressibleByArgument {}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
