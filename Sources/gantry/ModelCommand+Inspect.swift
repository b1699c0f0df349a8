// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import Torch

extension ModelCommand {
    /// `gantry model inspect`.
    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a package is, takes, finds and trains.")

        @OptionGroup var source: Source

        func run() throws {
            try source.open { package in
                print(try Self.rows(package).map { ["\($0.0)", $0.1] }.aligned())
            }
        }

        private static func rows(_ package: ModelPackage) throws -> [(String, String)] {
            let manifest = package.manifest
            let model = try TorchModel(package: package)
            let parameters = try model.parameters()
            let trained = Set(manifest.training.parameters.selection(from: model.declaredNames))
            let trainedValues = parameters.tensors.reduce(0) {
                $0 + (trained.contains($1.key) ? $1.value.values.count : 0)
            }
            var rows = [
                ("name", manifest.name), ("title", manifest.title), ("intended use", manifest.intendedUse),
                ("package", package.hash.hex),
                (
                    "version",
                    package.version?.id.hex ?? "none: models/parameters.safetensors is missing (gantry model prepare)"
                ),
                ("files", "\(package.files.count), \(size(package.files.reduce(0) { $0 + $1.bytes }))"),
                ("takes", manifest.takes.words), ("input", input(manifest.preprocessing)),
                ("slice rule", rule(manifest.sliceRule)),
                (
                    "heat map",
                    manifest.masks.map { "masks, \($0.minimumPixels) places count" }
                        ?? manifest.explanation.map { "Grad-CAM of \($0.layer)" } ?? "occlusion"
                ),
            ]
            for finding in manifest.findings {
                let code = finding.code.map { ", \($0.scheme) \($0.value) “\($0.meaning)”" } ?? ""
                rows.append(
                    (
                        "finding",
                        "\(finding.name) (\(finding.title)), \(finding.urgency.rawValue) from \(finding.threshold)\(code)"
                    ))
            }
            let training = manifest.training
            rows += [
                ("parameters", "\(parameters.valueCount) values in \(parameters.tensors.count) tensors"),
                ("trains", "\(trainedValues) values in \(trained.count) tensors"),
                (
                    "training",
                    "\(training.loss.rawValue), \(training.optimiser.rawValue), learning rate \(training.learningRate), "
                        + "\(training.epochs) epochs of \(training.batchStudies) studies a step"
                ),
                (
                    "goes live",
                    "held-out AUC at most \(manifest.guardRule.margin) worse, at least "
                        + "\(manifest.guardRule.minimumLabelsPerClass) labels of each kind"
                ),
            ]
            return rows
        }

        private static func input(_ input: Preprocessing) -> String {
            let channels = input.channels.map { channel in
                switch channel {
                case .window(let center, let width): "window \(center)/\(width)"
                case .ownWindow: "own window"
                case .percentiles: "percentiles"
                }
            }
            return "\(input.channels.count) × \(input.height) × \(input.width) (\(channels.joined(separator: ", "))), "
                + input.fit.rawValue
        }

        private static func rule(_ rule: SliceRule) -> String {
            switch rule {
            case .maximum: "maximum"
            case .meanOfTop(let count): "mean of top \(count)"
            case .noisyOr: "noisy or"
            }
        }

        private static func size(_ bytes: Int) -> String {
            bytes < 1 << 20 ? "\((bytes + 1023) >> 10) KiB" : String(format: "%.1f MiB", Double(bytes) / 1_048_576)
        }
    }
}
