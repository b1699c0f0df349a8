// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Sandbox
import Tensors

/// A TorchScript model with one set of parameters, in a process of its own (`ModelSandbox`).
///
/// Thread-confined: it belongs to the thread that loads it. Several models may run at once on several threads. The module is
/// in evaluation mode always, also while it is trained (see `Trainer`). What comes back from the process is judged like
/// a stranger's: counts, shapes and finite values are checked here.
public final class TorchModel {
    /// The shape of one input and the meaning of the outputs.
    public let manifest: Manifest
    public let shape: InputShape
    /// Parameter names in the order in which the model declares them.
    public let declaredNames: [String]
    private let shapes: [[Int]]
    private let process: ModelProcess
    /// Batch sizes that the optimised copy has run since the parameters changed.
    private var familiarCounts: Set<Int> = []

    /// - Parameters:
    ///   - file: TorchScript, as `torch.jit.save` or `gantry model new` write it.
    ///   - threads: that libtorch uses for one operation; results with one thread are reproducible to the bit.
    /// - Throws: `TorchError.load` when it is no TorchScript, `.process` when it ended its process, `.unavailable` when
    ///   there is no process to be had.
    public init(
        file: URL, manifest: Manifest, in sandbox: ModelSandbox = .standard, threads: Int = 1,
        pace: ModelSandbox.Pace = .prompt
    ) throws(TorchError) {
        self.manifest = manifest
        shape = InputShape(manifest.preprocessing)
        let content: Data
        do {
            content = try Data(contentsOf: file, options: .mappedIfSafe)
        } catch {
            throw .load(path: file.path, reason: error.localizedDescription)
        }
        let room = Room(fileBytes: content.count, shape, findings: manifest.findings.count)
        process = try ModelProcess(
            in: sandbox, inputBytes: room.inputBytes, outputBytes: room.outputBytes, threads: threads, pace: pace)
        let memory = process.memory
        content.withUnsafeBytes { memory.put($0) }
        let layout = ModelMessage.Layout(
            channels: shape.channels, height: shape.height, width: shape.width, findings: manifest.findings.count,
            leastPlaces: manifest.masks?.minimumPixels ?? 0)
        let answer: ModelMessage
        do throws(TorchError) {
            answer = try process.ask(.load(bytes: content.count, layout: layout), isFirst: true)
        } catch .run(let reason) {
            throw .load(path: file.path, reason: reason)
        }
        guard case .loaded(let bytes) = answer, let list = Self.parameters(bytes, in: memory) else {
            throw process.nonsense()
        }
        declaredNames = list.map(\.name)
        shapes = list.map(\.shape)
        memory.release()
    }

    /// Processor time that the model's process has used, all threads together.
    public var processorSeconds: Double { process.processorSeconds }

    /// The model of a package, with `parameters` or else the package's own.
    public convenience init(
        package: ModelPackage, parameters: TensorMap? = nil, in sandbox: ModelSandbox = .standard, threads: Int = 1,
        pace: ModelSandbox.Pace = .prompt
    ) throws(TorchError) {
        try self.init(file: package.modelFile, manifest: package.manifest, in: sandbox, threads: threads, pace: pace)
        if let parameters { try setParameters(parameters) }
    }

    /// How much memory the questions about a model may need. What is not touched costs nothing.
    private struct Room {
        var inputBytes: Int
        var outputBytes: Int

        init(fileBytes: Int, _ shape: InputShape, findings: Int) {
            // A value in the file takes a byte or more, and four of ours.
            let parameters = 4 * fileBytes
            let slices = shape.slicesAtOnce * shape.valueCount * MemoryLayout<Float>.size
            let gradients = shape.slicesAtOnce * findings * MemoryLayout<Float>.size
            let masks = findings * shape.height * shape.width * MemoryLayout<Float>.size
            inputBytes = max(parameters, slices + gradients + 64)
            outputBytes = max(parameters, masks, gradients, ModelMessage.mostListBytes)
        }
    }

    /// Nil when the list is none, or announces more than the memory holds.
    private static func parameters(_ bytes: Int, in memory: SharedMemory) -> [ModelMessage.Parameter]? {
        guard (0...ModelMessage.mostListBytes).contains(bytes), bytes <= memory.output.count,
            let list = try? JSONDecoder().decode(
                [ModelMessage.Parameter].self, from: Data(UnsafeRawBufferPointer(rebasing: memory.output[..<bytes])))
        else { return nil }
        let most = min(memory.input.count, memory.output.count) / MemoryLayout<Float>.size
        var total = 0
        for parameter in list {
            var values = 1
            for length in parameter.shape {
                let (product, overflow) = values.multipliedReportingOverflow(by: length)
                guard length >= 0, !overflow else { return nil }
                values = product
            }
            guard values <= most, (1...maximumNameBytes).contains(parameter.name.utf8.count),
                parameter.name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
            else { return nil }
            total += values
            guard total <= most else { return nil }
        }
        return Set(list.map(\.name)).count == list.count ? list : nil
    }

    private static let maximumNameBytes = 1024

    // MARK: Parameters

    /// Values in all parameters.
    var parameterCount: Int { shapes.reduce(0) { $0 + $1.reduce(1, *) } }

    /// All parameters (not buffers) by name.
    public func parameters() throws(TorchError) -> TensorMap {
        guard case .done = try process.ask(.readParameters, isFirst: true) else { throw process.nonsense() }
        let values = process.memory.floats(parameterCount)
        var map = TensorMap()
        var first = 0
        for (name, shape) in zip(declaredNames, shapes) {
            let count = shape.reduce(1, *)
            map.tensors[name] = Tensor(shape: shape, values: Array(values[first..<first + count]))
            first += count
        }
        return map
    }

    /// Sets every parameter.
    ///
    /// - Throws: `TorchError.parameters` unless the names and shapes are exactly this model's, `.notFinite` for values that
    ///   are no numbers; the model is unchanged then.
    public func setParameters(_ map: TensorMap) throws(TorchError) {
        let known = Set(declaredNames)
        for name in map.names where !known.contains(name) { throw .parameters(.unexpected(name: name)) }
        for (name, shape) in zip(declaredNames, shapes) {
            guard let tensor = map.tensors[name] else { throw .parameters(.missing(name: name)) }
            guard tensor.shape == shape else {
                throw .parameters(.shape(name: name, expected: shape, found: tensor.shape))
            }
        }
        if let bad = map.firstNonFinite { throw .notFinite(reason: bad.description) }
        var offset = 0
        for name in declaredNames {
            map.tensors[name]?.values.withUnsafeBytes { bytes in
                process.memory.put(bytes, at: offset)
                offset += bytes.count
            }
        }
        familiarCounts = []
        guard case .done = try process.ask(.writeParameters, isFirst: true) else { throw process.nonsense() }
        process.memory.release()
    }

    // MARK: Scoring

    /// The probability of each finding in each input.
    ///
    /// The first call after the parameters changed also makes the optimised copy that is run (tens of milliseconds for a
    /// small model, seconds for a big one); `warmUp()` does it beforehand.
    ///
    /// - Parameters:
    ///   - inputs: `count` inputs, one after the other, each channels × height × width.
    /// - Returns: `count` × findings, input by input.
    /// - Throws: `TorchError.notFinite` when an output is no number, `.outputShape` when the model does not fit its
    ///   manifest.
    public func score(_ inputs: UnsafeBufferPointer<Float>, count: Int) throws(TorchError) -> [Float] {
        precondition(inputs.count == count * shape.valueCount, "\(inputs.count) values for \(count) inputs")
        var scores: [Float] = []
        scores.reserveCapacity(count * manifest.findings.count)
        for start in stride(from: 0, to: count, by: shape.slicesAtOnce) {
            let part = min(shape.slicesAtOnce, count - start)
            let values = inputs[start * shape.valueCount..<(start + part) * shape.valueCount]
            process.memory.put(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: values)))
            scores += try run(count: part, isHalf: false, .optimised)
        }
        manifest.toProbabilities(&scores)
        return scores
    }

    public func score(_ inputs: [Float], count: Int) throws(TorchError) -> [Float] {
        let outcome = inputs.withUnsafeBufferPointer { values in
            Result { () throws(TorchError) in try score(values, count: count) }
        }
        return try outcome.get()
    }

    /// Makes the optimised copy and runs it once on so many inputs of zeros.
    public func warmUp(count: Int = 1) throws(TorchError) {
        _ = try score([Float](repeating: 0, count: count * shape.valueCount), count: count)
    }

    /// The probability of each finding in each slice of an example, on the optimised copy.
    public func score(_ example: ExampleFile) throws(TorchError) -> [Float] {
        var scores = try outputs(of: example, on: .optimised) {}
        manifest.toProbabilities(&scores)
        return scores
    }

    /// The outputs for all slices of an example as the model gives them, without sigmoid or softmax.
    func rawOutputs(of example: ExampleFile) throws(TorchError) -> [Float] {
        try outputs(of: example, on: .module) {}
    }

    /// What runs: the copy that is optimised for scoring, or the module itself, with the parameters of this moment.
    enum Form { case optimised, module }

    /// The raw outputs for all slices of an example.
    ///
    /// - Parameters:
    ///   - chunk: slices that are run at once; nil: as many as fit.
    ///   - beforeChunk: called before each chunk of slices.
    func outputs(
        of example: ExampleFile, on form: Form, chunk: Int? = nil, beforeChunk: () throws(TorchError) -> Void
    ) throws(TorchError) -> [Float] {
        guard example.shape == shape else {
            throw .example(path: example.path, reason: "its slices are \(example.shape), the model takes \(shape)")
        }
        var outputs: [Float] = []
        let chunk = chunk ?? shape.slicesAtOnce
        for start in stride(from: 0, to: example.count, by: chunk) {
            try beforeChunk()
            let part = min(chunk, example.count - start)
            try example.halves(in: start..<start + part).withUnsafeBytes { process.memory.put($0) }
            outputs += try run(count: part, isHalf: true, form)
        }
        return outputs
    }

    /// Raw outputs on the module itself: for a few inputs the optimised copy does not pay.
    func forward(_ inputs: [Float], count: Int) throws(TorchError) -> [Float] {
        put(inputs, count: count)
        return try run(count: count, isHalf: false, .module)
    }

    private func put(_ inputs: [Float], count: Int) {
        precondition(
            inputs.count == count * shape.valueCount && count > 0, "\(inputs.count) values for \(count) inputs")
        inputs.withUnsafeBytes { process.memory.put($0) }
    }

    /// Runs the inputs that lie in the memory.
    private func run(count: Int, isHalf: Bool, _ form: Form) throws(TorchError) -> [Float] {
        let isOptimised = form == .optimised
        let isFirst = isOptimised && !familiarCounts.contains(count)
        let question = ModelMessage.run(count: count, isHalf: isHalf, isOptimised: isOptimised)
        guard case .done = try process.ask(question, isFirst: isFirst) else { throw process.nonsense() }
        if isOptimised { familiarCounts.insert(count) }
        return try outputs(count * manifest.findings.count)
    }

    private func outputs(_ count: Int) throws(TorchError) -> [Float] {
        let values = process.memory.floats(count)
        guard values.allSatisfy(\.isFinite) else { throw .notFinite(reason: "an output is not a finite number") }
        return values
    }

    // MARK: Explaining

    /// The masks of one input as the model gives them: findings × rows × columns.
    func rawMasks(of input: [Float]) throws(TorchError) -> (rows: Int, columns: Int, values: [Float]) {
        try map(of: input, .masks, count: manifest.findings.count)
    }

    /// The weighted activation, positive where the input speaks for the finding: rows × columns.
    func activation(
        of input: [Float], finding: Int, layer: String
    ) throws(TorchError) -> (rows: Int, columns: Int, values: [Float]) {
        try map(of: input, .activation(output: finding, layer: layer), count: 1)
    }

    private func map(
        of input: [Float], _ question: ModelMessage, count: Int
    ) throws(TorchError) -> (rows: Int, columns: Int, values: [Float]) {
        put(input, count: 1)
        guard case .map(let rows, let columns) = try process.ask(question, isFirst: true), rows > 0, columns > 0,
            rows <= shape.height * shape.width, columns <= shape.height * shape.width / rows
        else { throw process.nonsense() }
        return (rows, columns, process.memory.floats(count * rows * columns))
    }

    // MARK: Training

    /// From now on these parameters train, and no others.
    func beginTraining(_ names: Set<String>, _ optimisation: ModelMessage.Optimisation) throws(TorchError) {
        let selection = declaredNames.map { names.contains($0) ? UInt8(1) : 0 }
        selection.withUnsafeBytes { process.memory.put($0) }
        guard case .done = try process.ask(.beginTraining(optimisation)) else { throw process.nonsense() }
    }

    /// Adds gradients: `outputGradients` is the derivative of the loss by each output of each of the slices.
    func accumulate(_ slices: Data, count: Int, _ outputGradients: [Float]) throws(TorchError) {
        precondition(outputGradients.count == count * manifest.findings.count, "a gradient for each output")
        slices.withUnsafeBytes { process.memory.put($0) }
        let place = (slices.count + 15) / 16 * 16
        outputGradients.withUnsafeBytes { process.memory.put($0, at: place) }
        guard case .done = try process.ask(.accumulate(count: count, gradients: place)) else {
            throw process.nonsense()
        }
    }

    /// One step of the optimiser with the gradients since the last one.
    func step(learningRate: Double) throws(TorchError) {
        guard case .done = try process.ask(.step(learningRate: learningRate)) else { throw process.nonsense() }
    }
}

extension Manifest {
    /// Outputs of the model, input by input, become probabilities: sigmoid, softmax over the findings where exactly one
    /// is present (`cross_entropy`), or as they are.
    func toProbabilities(_ outputs: inout [Float]) {
        switch (output, training.loss) {
        case (.probabilities, _):
            for index in outputs.indices { outputs[index] = min(max(outputs[index], 0), 1) }
        case (.logits, .binaryCrossEntropy):
            for index in outputs.indices { outputs[index] = 1 / (1 + exp(-outputs[index])) }
        case (.logits, .crossEntropy):
            for start in stride(from: 0, to: outputs.count, by: findings.count) {
                let range = start..<start + findings.count
                let highest = outputs[range].max() ?? 0
                for index in range { outputs[index] = exp(outputs[index] - highest) }
                let sum = outputs[range].reduce(0, +)
                for index in range { outputs[index] /= sum }
            }
        }
    }
}
