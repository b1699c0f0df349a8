// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Phantoms
import Testing

@testable import Torch

/// Whether heat maps of a network that has learned something point at it.
@Suite struct BleedHeatMapTests {
    private static let matrix = 64
    private static let slices = 8

    private func studies(_ indices: Range<Int>) throws -> [PhantomStudy] {
        try indices.map {
            try PhantomStudy.headCT(
                seed: 31, index: $0, look: .a, isPositive: $0 % 2 == 0, slices: Self.slices, matrix: Self.matrix)
        }
    }

    private func inputs(_ study: PhantomStudy, _ preprocessor: Preprocessor, _ instances: Range<Int>) throws -> [Float]
    {
        try instances.flatMap { index in
            let file = try study.instance(index)
            return try InstanceReader.read(file) { reader throws(ImagingError) in
                let frame = Frame()
                try reader.decode(0, into: frame)
                return try preprocessor.input(from: frame)
            }
        }
    }

    @Test func `The heat of a trained network lies on the bleed`() throws {
        try withTemporaryDirectory { directory in
            var manifest = ModelTask.headCTHaemorrhage.manifest
            (manifest.preprocessing.height, manifest.preprocessing.width) = (Self.matrix, Self.matrix)
            let package = try PackageWriter.write(
                manifest: manifest, seed: 1, to: directory.appending(path: "package"))
            let preprocessor = try Preprocessor(package.manifest.preprocessing)
            let shape = InputShape(package.manifest.preprocessing)
            let examples = try studies(0..<20).enumerated().map { index, study in
                let url = directory.appending(path: "\(index).safetensors")
                try ExampleWriter(url, shape: shape).append(
                    inputs(study, preprocessor, 0..<Self.slices), slices: Self.slices)
                return TrainingExample(file: url, labels: [study.truth.isPresent])
            }
            var plan = TrainingPlan(package.manifest.training, seed: 1, threads: 1)
            plan.epochs = 8
            let model = try TorchModel(package: package)
            var parameters = try model.parameters()
            let trained = try Trainer(package: package, plan: plan).train(from: parameters, on: examples)
            try parameters.addScaled(trained.delta, by: 1)
            try model.setParameters(parameters)

            var hits = (occlusion: 0, activation: 0)
            let positive = try studies(100..<112).filter(\.truth.isPresent)
            for study in positive {
                let input = try inputs(study, preprocessor, study.tellingInstance..<study.tellingInstance + 1)
                let lesion = try #require(try study.lesion(inInstance: study.tellingInstance))
                let covered = try model.occlusion(of: input, finding: 0)
                let layer = SmallCNN.explanation.layer
                let activated = try model.activationMap(of: input, finding: 0, layer: layer)
                if Self.isHottest(covered, on: lesion) { hits.occlusion += 1 }
                if Self.isHottest(activated, on: lesion) { hits.activation += 1 }
            }
            // Of 6; by chance it would be one in twenty.
            #expect(hits.occlusion >= 5)
            #expect(hits.activation >= 5)
        }
    }

    /// Whether there is bleed in the hottest place. The package shows the whole frame, so places are parts of the frame.
    private static func isHottest(_ map: Relevance?, on lesion: [Float]) -> Bool {
        guard let map, let hottest = map.values.firstIndex(of: 1) else { return false }
        func extent(_ place: Int, _ places: Int) -> Range<Int> {
            place * matrix / places..<max((place + 1) * matrix / places, place * matrix / places + 1)
        }
        return extent(hottest / map.columns, map.rows).contains { row in
            extent(hottest % map.columns, map.columns).contains { lesion[row * matrix + $0] > 0.5 }
        }
    }
}
