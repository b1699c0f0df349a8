// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Tensors

/// Tries a package: does what the worker will do with it, on made-up input, and says what is wrong and how to mend it.
public struct ModelCheck {
    /// What one step found.
    public struct Step: Sendable, Equatable {
        public var name: String
        public var passed: Bool
        /// What was seen, or what is wrong.
        public var text: String
        /// What to do, when it did not pass.
        public var fix: String?
    }

    let package: ModelPackage
    let sandbox: ModelSandbox

    /// Runs all steps that make sense; a model that does not load is not run.
    ///
    /// - Parameters:
    ///   - scores: a file of inputs and the scores that PyTorch gives for them, which are compared with the model's.
    ///   - trains: whether a training step is tried too, which a hub has no use for.
    ///   - report: called after each step.
    public static func run(
        _ package: ModelPackage, scores: URL? = nil, trains: Bool = true, in sandbox: ModelSandbox = .standard,
        report: (Step) -> Void = { _ in }
    ) -> [Step] {
        let check = ModelCheck(package: package, sandbox: sandbox)
        var steps: [Step] = []
        func take(_ name: String, _ body: () throws -> String) {
            let step = outcome(of: name, body)
            steps.append(step)
            report(step)
        }
        var loaded: TorchModel?
        take("loads") {
            let model = try TorchModel(package: package, in: sandbox)
            loaded = model
            return "\(model.declaredNames.count) parameter tensors"
        }
        guard let model = loaded else { return steps }
        take("parameters") { try check.checkParameters(model) }
        take("runs") { try check.checkOutputs(model) }
        if let scores { take("scores") { try check.checkScores(model, scores) } }
        if steps.allSatisfy(\.passed) { take("explains") { try check.checkExplanation(model) } }
        guard trains, package.manifest.masks == nil else { return steps }
        if steps.allSatisfy(\.passed) { take("trains") { try check.checkTraining(model) } }
        return steps
    }

    private static func outcome(of name: String, _ body: () throws -> String) -> Step {
        do {
            return Step(name: name, passed: true, text: try body(), fix: nil)
        } catch let problem as Problem {
            return Step(name: name, passed: false, text: problem.text, fix: problem.fix)
        } catch let error as TorchError {
            return Step(name: name, passed: false, text: error.description, fix: fix(for: error))
        } catch let error as SafetensorsError {
            return Step(
                name: name, passed: false, text: "\(ModelPackage.parametersPath): \(error)",
                fix: "write it again with “gantry model prepare”")
        } catch {
            return Step(name: name, passed: false, text: "\(error)", fix: "see the text")
        }
    }

    struct Problem: Error {
        var text: String
        var fix: String
    }

    private static func fix(for error: TorchError) -> String {
        switch error {
        case .load: "export it again with torch.jit.trace or torch.jit.script and .save, on the CPU"
        case .outputShape:
            "make the model return one tensor, inputs × findings, and list as many findings in configs/gantry.json as it "
                + "has outputs"
        case .nothingTrainable: "correct training.parameters in configs/gantry.json, or export without torch.jit.freeze"
        case .notFinite: "look for a division by zero, a logarithm of 0 or weights that are not numbers"
        case .outOfMemory: "use a smaller model or input, or a machine with more memory"
        case .run(let reason) where reason.contains("derivative for"):
            "export with gradients enabled (not under torch.no_grad()) and after "
                + "torch.backends.mha.set_fastpath_enabled(False): PyTorch's fused operators cannot train"
        case .layer:
            "name a module of named_modules() in explanation.layer of configs/gantry.json, mostly the last one that still "
                + "has height and width, or leave the explanation out: parts of the input are covered then"
        case .process(let failure) where failure.kind == .forbidden:
            "a model computes and nothing else: remove what reads, writes, connects or starts something"
        case .process: "look for an endless loop or recursion, or a layer that takes gigabytes for one input"
        case .unavailable: "install gantry-model beside the program that runs, from the same build"
        case .constantOutput: "look for a dead layer, or lower training.learning_rate"
        default: "check that the model takes inputs × channels × height × width as configs/gantry.json says"
        }
    }

    private func checkParameters(_ model: TorchModel) throws -> String {
        let own = try model.parameters()
        guard !own.tensors.isEmpty else {
            throw Problem(
                text: "the module has no parameters: it can score but not learn",
                fix: "export it without torch.jit.freeze or optimize_for_inference")
        }
        guard package.version != nil else {
            throw Problem(
                text: "\(ModelPackage.parametersPath) is missing", fix: "write it with “gantry model prepare”")
        }
        let stored = try Safetensors.read(package.parametersFile)
        try model.setParameters(stored)
        let trained = package.manifest.training.parameters.selection(from: model.declaredNames)
        return "\(own.valueCount) values, \(trained.count) of \(own.tensors.count) tensors train"
            + (stored == own ? "" : "; the file's values differ from the module's and are used instead")
    }

    private func checkOutputs(_ model: TorchModel) throws -> String {
        let count = 4
        let noise = Self.noise(model.shape.valueCount * count, seed: 1)
        let zeros = [Float](repeating: 0, count: model.shape.valueCount)
        let start = ContinuousClock.now
        let together = try model.score(noise, count: count)
        let first = ContinuousClock.now
        _ = try model.score(noise, count: count)
        let again = ContinuousClock.now
        let alone = try model.score(Array(noise.prefix(model.shape.valueCount)), count: 1)
        let findings = package.manifest.findings.count
        for (index, score) in alone.enumerated() where abs(score - together[index]) > 1e-3 {
            throw Problem(
                text:
                    "an input scores \(score) alone and \(together[index]) in a batch: the inputs influence each other",
                fix: "put the model into evaluation mode before the export (model.eval())")
        }
        let silence = try model.score(zeros, count: 1)
        let rows = stride(from: 0, to: together.count, by: findings).map { Array(together[$0..<$0 + findings]) }
        guard (rows + [silence]).contains(where: { $0 != silence }) else {
            throw Problem(
                text: "the model says \(silence) for zeros and for noise: a constant",
                fix: "check that the exported weights are the trained ones and that the input is used")
        }
        if package.manifest.output == .probabilities,
            let odd = try rawOutputs(model, noise).first(where: { $0 < 0 || $0 > 1 })
        {
            throw Problem(
                text: "an output is \(odd), which is no probability", fix: "write \"output\": \"logits\"")
        }
        let milliseconds = (again - first) / .milliseconds(1) / Double(count)
        let making = (first - start) / .milliseconds(1)
        return String(format: "%.1f ms per slice (first call %.0f ms)", milliseconds, making)
    }

    private func rawOutputs(_ model: TorchModel, _ inputs: [Float]) throws -> [Float] {
        try withExample(inputs, slices: inputs.count / model.shape.valueCount, model.shape) { url in
            try model.rawOutputs(of: ExampleFile(url))
        }
    }

    private func checkTraining(_ model: TorchModel) throws -> String {
        let slices = 2
        let findings = package.manifest.findings.count
        let values = model.shape.valueCount * slices
        return try withExample(Self.noise(values, seed: 2), slices: slices, model.shape) { first in
            try withExample(Self.noise(values, seed: 3), slices: slices, model.shape) { second in
                let one = (0..<findings).map { $0 == 0 }
                let two = (0..<findings).map { findings > 1 && $0 == 1 }
                var plan = TrainingPlan(package.manifest.training, seed: 1, threads: 1)
                plan.epochs = 2
                plan.batchStudies = 2
                let base = try model.parameters()
                let outcome = try Trainer(package: package, plan: plan, in: sandbox).train(
                    from: base, on: [.init(file: first, labels: one), .init(file: second, labels: two)])
                guard outcome.delta.norm > 0 else {
                    throw Problem(
                        text: "a training step changes no parameter",
                        fix: "check training.parameters in configs/gantry.json")
                }
                guard outcome.lossLastEpoch != outcome.lossFirstEpoch else {
                    throw Problem(
                        text: "a training step does not change the loss",
                        fix: "check that the trained parameters reach the output")
                }
                return String(
                    format: "loss %.4f → %.4f in one step, %.1f ms per slice", outcome.lossFirstEpoch,
                    outcome.lossLastEpoch, outcome.seconds * 1000 / Double(slices * 4))
            }
        }
    }

    private func withExample<Result>(
        _ values: [Float], slices: Int, _ shape: InputShape, _ body: (URL) throws -> Result
    ) throws -> Result {
        let url = FileManager.default.temporaryDirectory.appending(path: "gantry-check-\(UUID()).safetensors")
        defer { try? FileManager.default.removeItem(at: url) }
        try ExampleWriter(url, shape: shape).append(values, slices: slices)
        return try body(url)
    }

    /// Uniform in 0…1.
    static func noise(_ count: Int, seed: UInt64) -> [Float] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in Float.random(in: 0...1, using: &random) }
    }
}
