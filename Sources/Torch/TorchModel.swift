// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
import Foundation
import ModelPackage
import Tensors

/// A TorchScript model with one set of parameters.
///
/// Thread-confined: one thread at a time. Several models may run at once on several threads. The module is in
/// evaluation mode always, also while it is trained (see `Trainer`).
public final class TorchModel {
    /// The shape of one input and the meaning of the outputs.
    public let manifest: Manifest
    public let shape: InputShape
    /// Parameter names in the order in which the model declares them.
    public let declaredNames: [String]
    let handle: OpaquePointer
    private let shapes: [[Int]]
    private let indices: [String: Int]

    /// - Parameter file: TorchScript, as `torch.jit.save` or `gantry model new` write it.
    public init(file: URL, manifest: Manifest) throws(TorchError) {
        self.manifest = manifest
        shape = InputShape(manifest.preprocessing)
        var handle: OpaquePointer?
        do throws(TorchError) {
            try TorchError.check { gantry_torch_model_load(file.path, &handle, $0, $1) }
        } catch .run(let reason) {
            throw .load(path: file.path, reason: reason)
        }
        guard let handle else { throw .load(path: file.path, reason: "no module") }
        self.handle = handle
        if let masks = manifest.masks { gantry_torch_model_set_masks(handle, Int64(masks.minimumPixels)) }
        var names: [String] = []
        var shapes: [[Int]] = []
        for index in 0..<gantry_torch_parameter_count(handle) {
            let (name, shape) = try Self.parameter(handle, index)
            names.append(name)
            shapes.append(shape)
        }
        declaredNames = names
        self.shapes = shapes
        // A parameter that is reachable under two names appears twice; the first counts.
        indices = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The model of a package, with `parameters` or else the package's own.
    public convenience init(package: ModelPackage, parameters: TensorMap? = nil) throws(TorchError) {
        try self.init(file: package.modelFile, manifest: package.manifest)
        if let parameters { try setParameters(parameters) }
    }

    deinit { gantry_torch_model_free(handle) }

    /// Threads that libtorch uses for one operation called from the calling thread; results with one thread are
    /// reproducible to the bit.
    public static func useThreads(_ count: Int) {
        gantry_torch_set_threads(Int32(clamping: count))
    }

    // MARK: Parameters

    /// Values in all parameters.
    var parameterCount: Int { shapes.reduce(0) { $0 + $1.reduce(1, *) } }

    /// All parameters (not buffers) by name.
    public func parameters() throws(TorchError) -> TensorMap {
        var map = TensorMap()
        for (name, index) in indices {
            var values = [Float](repeating: 0, count: shapes[index].reduce(1, *))
            try TorchError.check { gantry_torch_parameter_read(handle, index, &values, values.count, $0, $1) }
            map.tensors[name] = Tensor(shape: shapes[index], values: values)
        }
        return map
    }

    /// Sets every parameter.
    ///
    /// - Throws: `TorchError.parameters` unless the names and shapes are exactly this model's, `.notFinite` for values that
    ///   are no numbers; the model is unchanged then.
    public func setParameters(_ map: TensorMap) throws(TorchError) {
        for name in map.names where indices[name] == nil { throw .parameters(.unexpected(name: name)) }
        for (name, index) in indices {
            guard let tensor = map.tensors[name] else { throw .parameters(.missing(name: name)) }
            guard tensor.shape == shapes[index] else {
                throw .parameters(.shape(name: name, expected: shapes[index], found: tensor.shape))
            }
        }
        if let bad = map.firstNonFinite { throw .notFinite(reason: bad.description) }
        for (name, index) in indices {
            guard let tensor = map.tensors[name] else { continue }
            try TorchError.check {
                gantry_torch_parameter_write(handle, index, tensor.values, tensor.values.count, $0, $1)
            }
        }
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
        guard let base = inputs.baseAddress else { return [] }
        var scores: [Float] = []
        scores.reserveCapacity(count * manifest.findings.count)
        for start in stride(from: 0, to: count, by: shape.slicesAtOnce) {
            let part = min(shape.slicesAtOnce, count - start)
            let batch = shape.batch(base + start * shape.valueCount, isHalf: false, count: part)
            scores += try run(batch, gantry_torch_score)
        }
        manifest.toProbabilities(&scores)
        return scores
    }

    public func score(_ inputs: [Float], count: Int) throws(TorchError) -> [Float] {
        var outcome: Result<[Float], TorchError> = .success([])
        inputs.withUnsafeBufferPointer { values in
            outcome = Result { () throws(TorchError) in try score(values, count: count) }
        }
        return try outcome.get()
    }

    /// Makes the optimised copy and runs it once on so many inputs of zeros.
    public func warmUp(count: Int = 1) throws(TorchError) {
        _ = try score([Float](repeating: 0, count: count * shape.valueCount), count: count)
    }

    /// The probability of each finding in each slice of an example, on the optimised copy.
    public func score(_ example: ExampleFile) throws(TorchError) -> [Float] {
        var scores = try outputs(of: example, on: gantry_torch_score) {}
        manifest.toProbabilities(&scores)
        return scores
    }

    /// The outputs for all slices of an example as the model gives them, without sigmoid or softmax.
    func rawOutputs(of example: ExampleFile) throws(TorchError) -> [Float] {
        try outputs(of: example, on: gantry_torch_forward) {}
    }

    /// The raw outputs for all slices of an example.
    ///
    /// - Parameters:
    ///   - chunk: slices that are run at once; nil: as many as fit.
    ///   - beforeChunk: called before each chunk of slices.
    func outputs(
        of example: ExampleFile, on function: RunFunction, chunk: Int? = nil,
        beforeChunk: () throws(TorchError) -> Void
    ) throws(TorchError) -> [Float] {
        guard example.shape == shape else {
            throw .example(path: example.path, reason: "its slices are \(example.shape), the model takes \(shape)")
        }
        var outputs: [Float] = []
        let chunk = chunk ?? shape.slicesAtOnce
        for start in stride(from: 0, to: example.count, by: chunk) {
            try beforeChunk()
            let part = min(chunk, example.count - start)
            let halves = try example.halves(in: start..<start + part)
            outputs += try halves.withBytes { bytes throws(TorchError) in
                try run(shape.batch(bytes, isHalf: true, count: part), function)
            }
        }
        return outputs
    }

    typealias RunFunction = (
        OpaquePointer, UnsafePointer<gantry_torch_inputs>, Int64, UnsafeMutablePointer<Float>,
        UnsafeMutablePointer<CChar>,
        Int
    ) -> Int32

    func run(_ batch: gantry_torch_inputs, _ function: RunFunction) throws(TorchError) -> [Float] {
        var batch = batch
        let findings = manifest.findings.count
        var outputs = [Float](repeating: 0, count: Int(batch.count) * findings)
        try TorchError.check { function(handle, &batch, Int64(findings), &outputs, $0, $1) }
        return outputs
    }

    private static func parameter(_ handle: OpaquePointer, _ index: Int) throws(TorchError) -> (String, [Int]) {
        var name: UnsafePointer<CChar>?
        var rank = 0
        var dimensions = [Int64](repeating: 0, count: 16)
        var trains: Int32 = 0
        try TorchError.check {
            gantry_torch_parameter(handle, index, &name, &rank, &dimensions, dimensions.count, &trains, $0, $1)
        }
        guard let name, rank <= dimensions.count else { throw .run(reason: "a parameter has \(rank) dimensions") }
        return (String(cString: name), dimensions.prefix(rank).map(Int.init))
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
