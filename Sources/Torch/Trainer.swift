// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Tensors

/// Trains a copy of a package's model on labelled studies.
///
/// A study's loss depends on all its slices at once, and a study can have more slices than fit memory with their
/// activations. So each study is gone through twice: first all slices without gradients, chunk by chunk; from the outputs
/// `StudyLoss` tells how the loss depends on each; then the slices that matter once more, with gradients, chunk by chunk
/// (the two-pass scheme of Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup",
/// applied to a bag of slices). That is the exact gradient, since the model stays in evaluation mode: dropout is off and
/// normalisation uses the package's own statistics, which are buffers and do not travel with a delta.
///
/// Blocking; run it on a thread of its own. The network is in a process of its own, which takes the thread's priority; what
/// to learn from which slice is decided here, so that the process sees slices and no labels.
public struct Trainer {
    public let package: ModelPackage
    public let plan: TrainingPlan
    let sandbox: ModelSandbox

    /// At most this many slices of a study get gradients in one step: half of them the ones that matter most, the others a
    /// random sample of the rest, scaled to stand for it.
    public static let slicesPerStudy = 48
    /// Slices whose gradient is below this share of the study's largest are left out.
    static let negligible = 1e-3
    /// Of a network with more parameters than this one slice is run at a time: three of a DenseNet-121 take a second on one
    /// core, and for so long a study that arrives meanwhile would have to share the memory's bandwidth.
    static let manyParameters = 1 << 20
    /// The gradient of a step is shortened to this Euclidean length, so that one odd study cannot throw the model.
    static let longestGradient = 5.0

    public init(package: ModelPackage, plan: TrainingPlan, in sandbox: ModelSandbox = .standard) {
        self.package = package
        self.plan = plan
        self.sandbox = sandbox
    }

    /// How far a run is.
    public struct Progress: Sendable, Equatable {
        public var epoch: Int
        public var epochs: Int
        public var step: Int
        /// Steps in all epochs.
        public var steps: Int
        /// Mean loss of the studies of this step.
        public var loss: Double
    }

    /// - Parameters:
    ///   - base: the parameters to start from.
    ///   - examples: the order does not matter for what is learned but does for reproducing it. Unreadable files are an
    ///     error; check them before.
    ///   - mayContinue: called before every chunk of slices (some ten milliseconds of work on one core for a small
    ///     model). It may block, for example while a study waits to be scored; false ends the run with
    ///     `TorchError.cancelled`.
    ///   - progress: called after every step.
    public func train(
        from base: TensorMap, on examples: [TrainingExample], mayContinue: () -> Bool = { true },
        progress: (Progress) -> Void = { _ in }
    ) throws(TorchError) -> TrainingOutcome {
        let start = ContinuousClock.now
        guard package.manifest.masks == nil else {
            throw .nothingTrainable(
                reason: "a segmentation model is not trained: labels say what is in a study, not where")
        }
        for example in examples where example.labels.count != package.manifest.findings.count {
            throw .example(
                path: example.file.path,
                reason: "\(example.labels.count) labels for \(package.manifest.findings.count) findings")
        }
        let loss = StudyLoss(
            manifest: package.manifest,
            weights: try ClassWeights(labels: examples.map(\.labels), manifest: package.manifest))
        let useful = examples.filter { $0.labels.contains { $0 != nil } }
        let model = try TorchModel(
            package: package, parameters: base, in: sandbox, threads: plan.threads, pace: .patient)
        let optimiser = try Optimiser(model, plan)
        let stepsPerEpoch = (useful.count + plan.batchStudies - 1) / plan.batchStudies
        var random = SplitMix64(seed: plan.seed)
        var epochLosses: [Double] = []
        var steps = 0
        for epoch in 0..<plan.epochs {
            let order = StudyOrder.shuffled(useful, &random)
            var sum = 0.0
            for first in stride(from: 0, to: order.count, by: plan.batchStudies) {
                let batch = order[first..<min(first + plan.batchStudies, order.count)]
                var batchLoss = 0.0
                for example in batch {
                    batchLoss += try learn(
                        example, model, optimiser, loss, share: 1 / Double(batch.count), &random, mayContinue)
                }
                // Falls linearly: the last steps settle the threshold that the first ones throw about.
                let left = 1 - Double(steps) / Double(plan.epochs * stepsPerEpoch)
                try optimiser.step(learningRate: plan.learningRate * left)
                steps += 1
                sum += batchLoss
                progress(
                    Progress(
                        epoch: epoch + 1, epochs: plan.epochs, step: steps, steps: plan.epochs * stepsPerEpoch,
                        loss: batchLoss / Double(batch.count)))
            }
            epochLosses.append(sum / Double(order.count))
        }
        let trained = try model.parameters()
        if let bad = trained.firstNonFinite { throw .notFinite(reason: "after training \(bad)") }
        try refuseConstantOutput(of: model, on: useful, mayContinue)
        return TrainingOutcome(
            delta: try delta(of: trained, base, optimiser.trained), lossFirstEpoch: epochLosses.first ?? 0,
            lossLastEpoch: epochLosses.last ?? 0, studies: useful.count, steps: steps,
            seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    /// Adds one study's gradient; gives its loss.
    private func learn(
        _ example: TrainingExample, _ model: TorchModel, _ optimiser: Optimiser, _ studyLoss: StudyLoss, share: Double,
        _ random: inout SplitMix64, _ mayContinue: () -> Bool
    ) throws(TorchError) -> Double {
        let file = try ExampleFile(example.file)
        guard file.count > 0 else { throw .example(path: file.path, reason: "it holds no slices") }
        func pause() throws(TorchError) { if !mayContinue() { throw .cancelled } }
        let outputs = try model.outputs(of: file, on: .module, chunk: chunk(model), beforeChunk: pause)
        let value = studyLoss(outputs: outputs, labels: example.labels)
        guard value.loss.isFinite else { throw .notFinite(reason: "the loss of \(file.path) is not a finite number") }
        let findings = package.manifest.findings.count
        let chosen = Self.choose(gradients: value.gradients, findings: findings, &random)
        let count = chunk(model)
        for chunk in stride(from: 0, to: chosen.count, by: count) {
            try pause()
            let part = chosen[chunk..<min(chunk + count, chosen.count)]
            var halves = Data()
            var gradients: [Float] = []
            for (slice, scale) in part {
                halves.append(try file.halves(in: slice..<slice + 1))
                gradients += value.gradients[slice * findings..<(slice + 1) * findings].map {
                    $0 * Float(scale * share)
                }
            }
            try optimiser.accumulate(halves, count: part.count, gradients)
        }
        return value.loss
    }

    private func chunk(_ model: TorchModel) -> Int {
        model.parameterCount > Self.manyParameters ? 1 : model.shape.slicesAtOnce
    }

    /// The slices that get gradients, and by how much theirs is scaled.
    static func choose(
        gradients: [Float], findings: Int, _ random: inout SplitMix64
    ) -> [(slice: Int, scale: Double)] {
        let sizes = stride(from: 0, to: gradients.count, by: findings).map { row in
            gradients[row..<row + findings].reduce(Float(0)) { max($0, abs($1)) }
        }
        let largest = sizes.max() ?? 0
        guard largest > 0 else { return [] }
        let threshold = largest * Float(negligible)
        let order = sizes.indices.filter { sizes[$0] >= threshold }.sorted { (sizes[$0], $1) > (sizes[$1], $0) }
        guard order.count > slicesPerStudy else { return order.sorted().map { ($0, 1) } }
        let certain = order.prefix(slicesPerStudy / 2)
        let rest = order.dropFirst(certain.count)
        let sample = rest.shuffled(using: &random).prefix(slicesPerStudy - certain.count)
        let scale = Double(rest.count) / Double(sample.count)
        return (certain.map { ($0, 1) } + sample.map { ($0, scale) }).sorted { $0.0 < $1.0 }
    }

    private func delta(
        of trained: TensorMap, _ base: TensorMap, _ names: Set<String>
    ) throws(TorchError) -> TensorMap {
        do throws(TensorMismatch) {
            return try TensorMap(trained.tensors.filter { names.contains($0.key) }).difference(
                minus: TensorMap(base.tensors.filter { names.contains($0.key) }))
        } catch {
            throw .parameters(error)
        }
    }

    /// A collapsed model has a fine loss on balanced labels and is useless.
    private func refuseConstantOutput(
        of model: TorchModel, on examples: [TrainingExample], _ mayContinue: () -> Bool
    ) throws(TorchError) {
        let findings = package.manifest.findings.count
        var lowest = [Float](repeating: .infinity, count: findings)
        var highest = [Float](repeating: -.infinity, count: findings)
        var slices = 0
        for example in examples.prefix(8) {
            guard mayContinue() else { throw .cancelled }
            let scores = try model.outputs(of: ExampleFile(example.file), on: .module, chunk: chunk(model)) {}
            for (index, score) in scores.enumerated() {
                lowest[index % findings] = min(lowest[index % findings], score)
                highest[index % findings] = max(highest[index % findings], score)
            }
            slices += scores.count / findings
        }
        if slices > 1, zip(lowest, highest).allSatisfy({ $1 - $0 <= 1e-6 * max(1, abs($0)) }) { throw .constantOutput }
    }
}
