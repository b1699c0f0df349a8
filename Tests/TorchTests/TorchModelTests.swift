// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Tensors
import Testing

@testable import Torch

@Suite struct TorchModelTests {
    @Test func theSameSeedMakesTheSamePackage() throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(directory: directory)
            let first = try toys.package(named: "one", seed: 5)
            let second = try toys.package(named: "two", seed: 5)
            let other = try toys.package(named: "three", seed: 6)
            #expect(first.version != nil)
            #expect(first.version == second.version)
            #expect(first.version?.parameters != other.version?.parameters)
        }
    }

    @Test func parametersAreReadBackAsTheyWereSet() throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            let model = try TorchModel(package: package)
            var parameters = try model.parameters()
            #expect(try parameters == Safetensors.read(package.parametersFile))
            #expect(parameters.names.contains("stage1.conv.weight"))
            parameters.tensors["head.bias"]?.values[0] = 3
            let inputs = [Float](repeating: 0.5, count: model.shape.valueCount)
            let before = try model.score(inputs, count: 1)[0]
            try model.setParameters(parameters)
            #expect(try model.parameters() == parameters)
            let after = try model.score(inputs, count: 1)[0]
            #expect(abs(log(after / (1 - after)) - log(before / (1 - before)) - 3) < 1e-3)
        }
    }

    @Test func foreignOrBrokenParametersAreRefusedAndChangeNothing() throws {
        try withTemporaryDirectory { directory in
            let model = try TorchModel(package: try ToyStudies(directory: directory).package())
            let own = try model.parameters()
            var map = own
            map.tensors["extra"] = Tensor(shape: [1], values: [1])
            #expect(throws: TorchError.parameters(.unexpected(name: "extra"))) { try model.setParameters(map) }
            map = own
            map.tensors["head.bias"] = nil
            #expect(throws: TorchError.parameters(.missing(name: "head.bias"))) { try model.setParameters(map) }
            map = own
            map.tensors["head.bias"] = Tensor(shape: [2], values: [0, 0])
            #expect(throws: TorchError.parameters(.shape(name: "head.bias", expected: [1], found: [2]))) {
                try model.setParameters(map)
            }
            map = own
            map.tensors["head.bias"]?.values[0] = .nan
            do throws(TorchError) {
                try model.setParameters(map)
                Issue.record("accepted")
            } catch {
                #expect(error.description.contains("head.bias"))
            }
            #expect(try model.parameters() == own)
        }
    }

    @Test func aBatchScoresLikeItsInputsAlone() throws {
        try withTemporaryDirectory { directory in
            let model = try TorchModel(package: try ToyStudies(directory: directory).package())
            var random = SplitMix64(seed: 1)
            let count = 700
            let inputs = (0..<count * model.shape.valueCount).map { _ in Float.random(in: 0...1, using: &random) }
            let together = try model.score(inputs, count: count)
            #expect(together.count == count)
            for index in [0, 511, 512, 699] {
                let slice = Array(inputs[index * model.shape.valueCount..<(index + 1) * model.shape.valueCount])
                #expect(abs(try model.score(slice, count: 1)[0] - together[index]) < 1e-5)
            }
        }
    }

    @Test func somethingThatIsNoTorchScriptIsAClearError() throws {
        try withTemporaryDirectory { directory in
            let manifest = try ToyStudies(directory: directory).package().manifest
            let url = directory.appending(path: "model.ts")
            try Data("not a model".utf8).write(to: url)
            do throws(TorchError) {
                _ = try TorchModel(file: url, manifest: manifest)
                Issue.record("accepted")
            } catch {
                guard case .load = error else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    @Test func aManifestThatDoesNotFitTheOutputsIsNamed() throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            var manifest = package.manifest
            manifest.findings.append(Finding(name: "b", title: "B", code: nil, threshold: 0.5, urgency: .routine))
            let model = try TorchModel(file: package.modelFile, manifest: manifest)
            do throws(TorchError) {
                try model.warmUp()
                Issue.record("accepted")
            } catch {
                #expect(error.description.contains("1 x 1, expected 1 x 2"), "\(error)")
            }
        }
    }

    @Test func softmaxProbabilitiesSumToOne() throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(directory: directory)
            let package = try toys.package(
                training: TrainingDefaults(loss: .crossEntropy), findings: ["a", "b", "c"])
            let model = try TorchModel(package: package)
            let scores = try model.score([Float](repeating: 0.3, count: model.shape.valueCount), count: 1)
            #expect(scores.count == 3)
            #expect(abs(scores.reduce(0, +) - 1) < 1e-6)
        }
    }

    @Test func anExampleGrowsSliceBySliceAndSurvivesATornAppend() throws {
        try withTemporaryDirectory { directory in
            let shape = InputShape(channels: 2, height: 3, width: 4)
            let url = directory.appending(path: "study.safetensors")
            func slice(_ value: Float) -> [Float] { (0..<shape.valueCount).map { value + Float($0) / 32 } }
            do {
                let writer = try ExampleWriter(url, shape: shape)
                #expect(try writer.append(slice(0), slices: 1) == 0)
                #expect(try writer.append(slice(0.25) + slice(0.5), slices: 2) == 1)
            }
            let torn = try FileHandle(forWritingTo: url)
            try torn.seekToEnd()
            try torn.write(contentsOf: Data([1, 2, 3]))
            try torn.close()
            #expect(try ExampleFile(url).count == 3)
            let writer = try ExampleWriter(url, shape: shape)
            #expect(try writer.append(slice(0.75), slices: 1) == 3)
            let file = try ExampleFile(url)
            #expect(file.shape == shape)
            for (index, value) in [0, 0.25, 0.5, 0.75].enumerated() {
                #expect(try file.slice(index) == slice(Float(value)))
            }
            #expect(throws: TorchError.self) {
                try ExampleWriter(url, shape: InputShape(channels: 1, height: 3, width: 4))
            }
        }
    }

    @Test func aGoodPackagePassesItsCheck() throws {
        try withTemporaryDirectory { directory in
            let steps = ModelCheck.run(try ToyStudies(directory: directory).package())
            #expect(steps.map(\.name) == ["loads", "parameters", "runs", "explains", "trains"])
            #expect(steps.allSatisfy { $0.passed }, "\(steps)")
        }
    }

    @Test func theCheckSaysWhatIsWrongAndTheFix() throws {
        try withTemporaryDirectory { directory in
            var package = try ToyStudies(directory: directory).package()
            try FileManager.default.removeItem(at: package.parametersFile)
            var failed = ModelCheck.run(try ModelPackage(directory: package.directory)).filter { !$0.passed }
            #expect(failed.map(\.name) == ["parameters"])
            #expect(failed.first?.fix?.contains("gantry model prepare") == true)
            package = try PackageWriter.prepare(package.directory)

            var manifest = package.manifest
            manifest.training.parameters = .named(["encoder"])
            try manifest.encoded().write(to: package.directory.appending(path: Manifest.path))
            failed = ModelCheck.run(try ModelPackage(directory: package.directory)).filter { !$0.passed }
            #expect(failed.map(\.name) == ["trains"])
            #expect(failed.first?.fix?.contains("training.parameters") == true)
        }
    }

    @Test func theCheckNamesALayerThatIsNotThere() throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            var manifest = package.manifest
            manifest.explanation = .init(layer: "features.last")
            try manifest.encoded().write(to: package.directory.appending(path: Manifest.path))
            let failed = ModelCheck.run(try ModelPackage(directory: package.directory)).filter { !$0.passed }
            #expect(failed.map(\.name) == ["explains"])
            #expect(failed.first?.text.contains("features.last") == true)
            #expect(failed.first?.fix?.contains("explanation.layer") == true)
        }
    }

    @Test func everyTaskMakesAPackageThatPassesItsCheck() throws {
        try withTemporaryDirectory { directory in
            for task in ModelTask.allCases {
                let package = try PackageWriter.write(
                    manifest: task.manifest, seed: 1, to: directory.appending(path: task.rawValue))
                #expect(ModelCheck.run(package).allSatisfy { $0.passed })
                #expect(try TorchModel(package: package).parameters().valueCount < 120_000)
            }
        }
    }
}
