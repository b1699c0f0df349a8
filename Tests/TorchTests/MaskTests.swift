// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Phantoms
import Testing

@testable import Torch

/// `Fixtures/masks.ts` was written by PyTorch 2.13 (`Fixtures/masks.py`): it sees fresh blood on head CT.
@Suite struct MaskTests {
    private static func manifest(least: Int = 8) -> Manifest {
        Manifest(
            name: "blood", title: "Blood", intendedUse: "Tests.", takes: Applicability(),
            preprocessing: Preprocessing(
                height: 128, width: 128,
                channels: [.window(center: 65, width: 50), .window(center: 130, width: 80)]),
            findings: [
                Finding(
                    name: "intracranial-haemorrhage", title: "Haemorrhage", code: nil, threshold: 0.5,
                    urgency: .critical)
            ], sliceRule: .maximum, training: TrainingDefaults(), guardRule: GuardRule(),
            masks: .init(minimumPixels: least))
    }

    private static func package(in directory: URL, _ manifest: Manifest) throws -> ModelPackage {
        let fixture = try #require(Bundle.module.url(forResource: "masks", withExtension: "ts"))
        for folder in ["models", "configs"] {
            try FileManager.default.createDirectory(
                at: directory.appending(path: folder), withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(at: fixture, to: directory.appending(path: ModelPackage.modelPath))
        try manifest.encoded().write(to: directory.appending(path: Manifest.path))
        return try PackageWriter.prepare(directory)
    }

    /// An input with a square of blood.
    private func input(side: Int) -> [Float] {
        var values = [Float](repeating: 0, count: 2 * 128 * 128)
        for row in 40..<40 + side { for column in 60..<60 + side { values[row * 128 + column] = 0.6 } }
        return values
    }

    @Test func `A slice is as probable as the smallest area that counts`() throws {
        try withTemporaryDirectory { directory in
            let one = try TorchModel(package: try Self.package(in: directory.appending(path: "1"), Self.manifest()))
            let all = input(side: 20) + input(side: 2) + input(side: 0)
            let scores = try one.score(all, count: 3)
            #expect(scores.count == 3)
            #expect(scores[0] > 0.9 && scores[1] < 0.5 && scores[2] < 0.1)
            // The square is 10 × 10 places of the mask.
            let large = try TorchModel(
                package: try Self.package(in: directory.appending(path: "2"), Self.manifest(least: 150)))
            #expect(try large.score(input(side: 20), count: 1)[0] < 0.5)
            let mask = try #require(try one.masks(of: input(side: 20)).first)
            #expect((mask.rows, mask.columns) == (64, 64))
            let places = mask.probabilities.indices.filter { mask.probabilities[$0] >= 0.5 }
            #expect((80...120).contains(places.count))
            #expect(places.allSatisfy { (19...30).contains($0 / 64) && (29...40).contains($0 % 64) })
            let score = scores[0]
            #expect(mask.probabilities.count { $0 >= score - 1e-4 } >= 8)
            #expect(mask.probabilities.count { $0 > score + 1e-4 } < 8)
        }
    }

    @Test func `Masks come back to the bleed in the image`() throws {
        try withTemporaryDirectory { directory in
            let package = try Self.package(in: directory, Self.manifest())
            let model = try TorchModel(package: package)
            let preprocessor = try Preprocessor(package.manifest.preprocessing)
            var overlap = 0
            var marked = 0
            var bleeding = 0
            for index in 0..<6 {
                let study = try PhantomStudy.headCT(
                    seed: 5, index: index, look: .a, isPositive: true, slices: 12, matrix: 256)
                let file = try study.instance(study.tellingInstance)
                let frame = Frame()
                let (input, placement) = try InstanceReader.read(file) { reader throws(ImagingError) in
                    try reader.decode(0, into: frame)
                    return (try preprocessor.input(from: frame), try preprocessor.placement(of: frame))
                }
                let mask = try #require(try model.masks(of: input).first)
                let seen = placement.onFrame(
                    mask.probabilities, rows: mask.rows, columns: mask.columns, height: 128, width: 128)
                let lesion = try #require(try study.lesion(inInstance: study.tellingInstance))
                for (seen, lesion) in zip(seen, lesion) {
                    if seen >= 0.5 { marked += 1 }
                    if lesion >= 0.5 { bleeding += 1 }
                    if seen >= 0.5, lesion >= 0.5 { overlap += 1 }
                }
            }
            let dice = 2 * Double(overlap) / Double(marked + bleeding)
            #expect(dice > 0.6, "Dice \(dice), \(marked) marked, \(bleeding) bleeding")
        }
    }

    @Test func `Its check passes without training, and training it is a clear error`() throws {
        try withTemporaryDirectory { directory in
            let package = try Self.package(in: directory, Self.manifest())
            let steps = ModelCheck.run(package)
            #expect(steps.map(\.name) == ["loads", "parameters", "runs", "explains"])
            #expect(steps.allSatisfy { $0.passed }, "\(steps)")
            #expect(steps.last?.text.contains("not trained") == true)
            let trainer = Trainer(package: package, plan: TrainingPlan(package.manifest.training, seed: 1, threads: 1))
            #expect(throws: TorchError.self) { try trainer.train(from: .init(), on: []) }
        }
    }

    @Test func `A model without masks is not taken for one, nor the other way round`() throws {
        try withTemporaryDirectory { directory in
            var manifest = Self.manifest()
            manifest.masks = nil
            #expect(throws: TorchError.self) {
                try TorchModel(package: try Self.package(in: directory.appending(path: "1"), manifest)).warmUp()
            }
            let toy = try ToyStudies(directory: directory).package()
            manifest = toy.manifest
            manifest.masks = .init(minimumPixels: 4)
            let model = try TorchModel(file: toy.modelFile, manifest: manifest)
            do throws(TorchError) {
                try model.warmUp()
                Issue.record("accepted")
            } catch {
                #expect(error.description.contains("masks"), "\(error)")
            }
        }
    }
}
