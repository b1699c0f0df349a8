// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Tensors
import Testing

@testable import Torch

@Suite struct TrainerTests {
    @Test(arguments: [SliceRule.maximum, .meanOfTop(count: 2), .noisyOr])
    func aSmallNetworkLearnsFromStudyLabelsAlone(rule: SliceRule) throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(directory: directory)
            let package = try toys.package(
                rule: rule, training: TrainingDefaults(learningRate: 2e-3, epochs: 12, batchStudies: 4))
            let (examples, fresh) = (try toys.write(count: 24, seed: 1), try toys.write(count: 40, seed: 2))
            let base = try Safetensors.read(package.parametersFile)
            let outcome = try Trainer(package: package, plan: TrainingPlan(package.manifest.training, seed: 1)).train(
                from: base, on: examples)
            #expect(outcome.studies == 24)
            #expect(outcome.steps == 12 * 6)
            #expect(outcome.lossLastEpoch < outcome.lossFirstEpoch)
            var trained = base
            try trained.addScaled(outcome.delta, by: 1)
            let model = try TorchModel(package: package, parameters: trained)
            let scores = try fresh.map { example in
                let slices = try model.score(ExampleFile(example.file)).map(Double.init)
                return (try #require(rule.probability(of: slices)), example.labels[0] == true)
            }
            #expect(pairsInOrder(scores) >= 0.95)
        }
    }

    @Test func theSameSeedGivesTheSameDeltaToTheBit() throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(slices: 60, directory: directory)
            let package = try toys.package()
            let examples = try toys.write(count: 4, seed: 1)
            let base = try Safetensors.read(package.parametersFile)
            func delta(seed: UInt64) throws -> Data {
                let plan = TrainingPlan(package.manifest.training, seed: seed)
                return Safetensors.encode(
                    try Trainer(package: package, plan: plan).train(from: base, on: examples).delta)
            }
            let first = try delta(seed: 7)
            #expect(try delta(seed: 7) == first)
            #expect(try delta(seed: 8) != first)
        }
    }

    @Test(arguments: [
        (TrainingDefaults.Trainable.head, ["head.bias", "head.weight"]),
        (.named(["stage1.norm"]), ["stage1.norm.bias", "stage1.norm.weight"]),
    ])
    func onlyTheSelectedParametersTrain(parameters: TrainingDefaults.Trainable, expected: [String]) throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(directory: directory)
            let package = try toys.package(training: TrainingDefaults(parameters: parameters))
            let outcome = try Trainer(package: package, plan: TrainingPlan(package.manifest.training, seed: 1)).train(
                from: Safetensors.read(package.parametersFile), on: toys.write(count: 4, seed: 1))
            #expect(outcome.delta.names == expected)
            #expect(outcome.delta.norm > 0)
        }
    }

    @Test func trainingAsksBeforeEveryChunkAndStopsWhenTold() throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(directory: directory)
            let package = try toys.package()
            let trainer = Trainer(package: package, plan: TrainingPlan(package.manifest.training, seed: 1))
            let base = try Safetensors.read(package.parametersFile)
            let examples = try toys.write(count: 4, seed: 1)
            var asked = 0
            var progress: [Trainer.Progress] = []
            _ = try trainer.train(
                from: base, on: examples,
                mayContinue: {
                    asked += 1; return true
                }
            ) { progress.append($0) }
            #expect(asked >= 8)
            #expect(progress.map(\.step) == [1])
            let allowed = asked / 2
            asked = 0
            #expect(throws: TorchError.cancelled) {
                try trainer.train(
                    from: base, on: examples,
                    mayContinue: {
                        asked += 1; return asked <= allowed
                    })
            }
            #expect(asked == allowed + 1)
        }
    }

    @Test func anUnreadableExampleIsNamed() throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(directory: directory)
            let package = try toys.package()
            var examples = try toys.write(count: 4, seed: 1)
            examples[1].file = directory.appending(path: "gone.safetensors")
            do throws(TorchError) {
                _ = try Trainer(package: package, plan: TrainingPlan(package.manifest.training, seed: 1)).train(
                    from: TorchModel(package: package).parameters(), on: examples)
                Issue.record("accepted")
            } catch {
                #expect(error.description.contains("gone.safetensors"), "\(error)")
            }
        }
    }

    @Test func aModelThatDivergesIsAnErrorAndNoDelta() throws {
        try withTemporaryDirectory { directory in
            let toys = ToyStudies(directory: directory)
            let package = try toys.package()
            var plan = TrainingPlan(package.manifest.training, seed: 1)
            plan.learningRate = 1e38
            plan.epochs = 3
            let base = try Safetensors.read(package.parametersFile)
            let examples = try toys.write(count: 4, seed: 1)
            #expect(throws: TorchError.self) {
                try Trainer(package: package, plan: plan).train(from: base, on: examples)
            }
        }
    }
}

@Suite struct StudyOrderTests {
    @Test func everyEpochIsAnotherOrderWithTheKindsSpreadEvenly() {
        let examples = (0..<40).map {
            TrainingExample(file: URL(filePath: "/\($0)"), labels: [$0 < 10])
        }
        var random = SplitMix64(seed: 1)
        let first = StudyOrder.shuffled(examples, &random)
        let second = StudyOrder.shuffled(examples, &random)
        #expect(first != second)
        #expect(Set(first.map(\.file)) == Set(examples.map(\.file)))
        for start in stride(from: 0, to: 40, by: 4) {
            #expect(first[start..<start + 4].count { $0.labels == [true] } == 1)
        }
    }
}
