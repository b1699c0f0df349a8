// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@testable import Torch

@Suite struct StudyLossTests {
    static let outputs: [Float] = [-1.5, 0.3, 2, 0.25, 0.1, -0.7, 1.1, -2, 0.4, 0.6]

    private static func loss(
        _ rule: SliceRule, output: Manifest.Output = .logits, loss: TrainingDefaults.Loss = .binaryCrossEntropy,
        findings: Int = 2
    ) throws -> StudyLoss {
        let manifest = Manifest(
            name: "x", title: "X", intendedUse: "Tests.", takes: Applicability(),
            preprocessing: Preprocessing(height: 8, width: 8, channels: [.percentiles]),
            findings: (0..<findings).map {
                Finding(name: "f\($0)", title: "F", code: nil, threshold: 0.5, urgency: .routine)
            }, output: output, sliceRule: rule, training: TrainingDefaults(loss: loss), guardRule: GuardRule())
        // Two studies of opposite labels: every weight is 1.
        let labels: [[Bool?]] =
            loss == .crossEntropy
            ? (0..<findings).map { truth in (0..<findings).map { $0 == truth } }
            : [Array(repeating: true, count: findings), Array(repeating: false, count: findings)]
        return StudyLoss(manifest: manifest, weights: try ClassWeights(labels: labels, manifest: manifest))
    }

    private static func probabilities(_ logits: [Float]) -> [Double] { logits.map { 1 / (1 + exp(-Double($0))) } }

    @Test(arguments: [SliceRule.maximum, .meanOfTop(count: 3), .noisyOr], [Manifest.Output.logits, .probabilities])
    func theDerivativeIsThatOfTheLoss(rule: SliceRule, output: Manifest.Output) throws {
        for kind in [TrainingDefaults.Loss.binaryCrossEntropy, .crossEntropy] {
            let loss = try Self.loss(rule, output: output, loss: kind)
            let outputs = output == .logits ? Self.outputs : Self.probabilities(Self.outputs).map(Float.init)
            for labels in [[true, false], [false, true]] as [[Bool?]] {
                let value = loss(outputs: outputs, labels: labels)
                for index in outputs.indices {
                    var (up, down) = (outputs, outputs)
                    up[index] += 0.001
                    down[index] -= 0.001
                    let slope =
                        (loss(outputs: up, labels: labels).loss - loss(outputs: down, labels: labels).loss)
                        / Double(up[index] - down[index])
                    #expect(
                        abs(slope - Double(value.gradients[index])) < 2e-3 * max(1, abs(slope)),
                        "\(rule) \(kind) \(labels) \(index)")
                }
            }
        }
    }

    @Test(arguments: [SliceRule.meanOfTop(count: 3), .meanOfTop(count: 99), .noisyOr], [true, false])
    func theLossIsTheCrossEntropyOfTheRule(rule: SliceRule, present: Bool) throws {
        let study = try #require(rule.probability(of: Self.probabilities(Self.outputs)))
        let value = try Self.loss(rule, findings: 1)(outputs: Self.outputs, labels: [present])
        #expect(abs(value.loss + log(present ? study : 1 - study)) < 1e-5)
    }

    @Test(arguments: [true, false])
    func theSmoothMaximumOfOneSliceIsThatSlice(present: Bool) throws {
        let value = try Self.loss(.maximum, findings: 1)(outputs: [0.7], labels: [present])
        let p = 1 / (1 + exp(-0.7))
        #expect(abs(value.loss + log(present ? p : 1 - p)) < 1e-6)
    }

    @Test func anUnknownLabelTeachesNothing() throws {
        let value = try Self.loss(.maximum)(outputs: Self.outputs, labels: [nil, true])
        for index in stride(from: 0, to: Self.outputs.count, by: 2) { #expect(value.gradients[index] == 0) }
        #expect(value.gradients.contains { $0 != 0 })
    }

    @Test(arguments: [SliceRule.maximum, .meanOfTop(count: 3), .noisyOr])
    func extremeOutputsStayFinite(rule: SliceRule) throws {
        for kind in [TrainingDefaults.Loss.binaryCrossEntropy, .crossEntropy] {
            let loss = try Self.loss(rule, loss: kind)
            for labels in [[true, false], [false, true]] as [[Bool?]] {
                let value = loss(outputs: [80, -80, -80, 80, 80, 80, -80, -80], labels: labels)
                #expect(value.loss.isFinite)
                #expect(value.gradients.allSatisfy { $0.isFinite })
            }
        }
    }

    @Test func bothClassesWeighTheSameInSum() throws {
        let manifest = try Self.loss(.maximum, findings: 1).manifest
        let weights = try ClassWeights(labels: [[true], [false], [false], [false], [nil]], manifest: manifest)
        #expect(weights.weight(of: 0, present: true) == 2)
        #expect(abs(3 * weights.weight(of: 0, present: false) - 2) < 1e-12)
    }

    @Test func labelsOfOneKindOnlyAreRefused() throws {
        let manifest = try Self.loss(.maximum, findings: 1).manifest
        do {
            _ = try ClassWeights(labels: [[true], [true], [nil]], manifest: manifest)
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains("f0: 2 present, 0 absent"), "\(error)")
        }
    }

    @Test func bigStudiesTrainTheirTopSlicesAndASampleThatStandsForTheRest() {
        var random = SplitMix64(seed: 1)
        let gradients = (0..<200).map { Float($0 + 1) / 200 }
        let chosen = Trainer.choose(gradients: gradients, findings: 1, &random)
        #expect(chosen.count == Trainer.slicesPerStudy)
        #expect(Set(chosen.map(\.slice)).isSuperset(of: 176..<200))
        #expect(abs(chosen.reduce(0) { $0 + $1.scale } - 200) < 1e-9)
        #expect(Trainer.choose(gradients: [0, 1, 1e-6], findings: 1, &random).map(\.slice) == [1])
    }
}
