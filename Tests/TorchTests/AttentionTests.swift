// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@testable import Torch

/// `Fixtures/attention.ts` was written by PyTorch 2.13 (`Fixtures/attention.py`): libtorch 1.13 alone cannot load it.
@Suite struct AttentionTests {
    /// The two findings are the same number, once through the operator and once through its formula.
    static let manifest = Manifest(
        name: "attention", title: "Attention", intendedUse: "Tests.", takes: Applicability(),
        preprocessing: Preprocessing(height: 8, width: 8, channels: [.percentiles]),
        findings: ["operator", "formula"].map {
            Finding(name: $0, title: $0, code: nil, threshold: 0.5, urgency: .routine)
        }, sliceRule: .maximum, training: TrainingDefaults(parameters: .named(["project"])), guardRule: GuardRule())

    private static func package(in directory: URL) throws -> ModelPackage {
        let fixture = try #require(Bundle.module.url(forResource: "attention", withExtension: "ts"))
        for folder in ["models", "configs"] {
            try FileManager.default.createDirectory(
                at: directory.appending(path: folder), withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(at: fixture, to: directory.appending(path: ModelPackage.modelPath))
        try manifest.encoded().write(to: directory.appending(path: Manifest.path))
        return try PackageWriter.prepare(directory)
    }

    @Test func attentionOfTodaysPyTorchIsItsFormula() throws {
        try withTemporaryDirectory { directory in
            let model = try TorchModel(package: Self.package(in: directory))
            var random = SplitMix64(seed: 1)
            let scores = try model.score((0..<5 * 64).map { _ in Float.random(in: -2...2, using: &random) }, count: 5)
            for input in 0..<5 { #expect(abs(scores[2 * input] - scores[2 * input + 1]) < 1e-5) }
            #expect(Set(scores.map { ($0 * 1e4).rounded() }).count > 2)
        }
    }

    @Test func gradientsGoThroughAttention() throws {
        try withTemporaryDirectory { directory in
            let package = try Self.package(in: directory.appending(path: "package"))
            let steps = ModelCheck.run(package)
            #expect(steps.allSatisfy { $0.passed }, "\(steps)")
            // Labels about the operator's output only: what moves the projection came through it.
            let toys = ToyStudies(shape: InputShape(channels: 1, height: 8, width: 8), directory: directory)
            let examples = try toys.write(count: 4, seed: 1).map {
                TrainingExample(file: $0.file, labels: [$0.labels[0], nil])
            }
            let outcome = try Trainer(package: package, plan: TrainingPlan(package.manifest.training, seed: 1)).train(
                from: TorchModel(package: package).parameters(), on: examples)
            #expect(outcome.delta.names == ["project.bias", "project.weight"])
            #expect(outcome.delta.norm > 0)
        }
    }
}
