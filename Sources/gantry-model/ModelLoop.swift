// SPDX-License-Identifier: GPL-3.0-or-later
import CSandbox
import CTorch
import Foundation
import Sandbox
import Torch

/// The inside of a model process: answers one question after the other until its program is gone.
///
/// The process is confined before the first byte of a TorchScript file is read, and never sees a path.
final class ModelLoop {
    private let memory: SharedMemory
    private var model: LoadedModel?
    private var buffer = [UInt8](repeating: 0, count: ModelMessage.mostBytes)

    /// Takes up the descriptors that the process was started with, warms libtorch up, and confines the process.
    ///
    /// - Parameter arguments: bytes of the input memory, of the output memory, and that the process may have of its own;
    ///   threads; what it asks of its sandbox (`SandboxPolicy`).
    /// - Throws: where it was not started by one of our programs, or cannot be confined.
    init(arguments: [String]) throws(SandboxError) {
        let numbers = arguments.prefix(4).compactMap { Int($0) }
        guard arguments.count == 5, numbers.count == 4, numbers.allSatisfy({ $0 > 0 && $0 < 1 << 48 }),
            let policy = SandboxPolicy(rawValue: arguments[4])
        else {
            throw SandboxError(
                "gantry-model is started by gantry-worker, gantry and gantry-hub, with memory and a socket")
        }
        let confinement = Confinement(
            privateBytes: UInt64(numbers[2]),
            // Addresses are not memory: libtorch's libraries, stacks and arenas take many.
            addressBytes: 0,
            // Those of OpenMP and of OpenBLAS, and those in which TorchScript forks.
            threads: UInt32(clamping: 2 * numbers[3] + ProcessInfo.processInfo.activeProcessorCount + 8),
            makesCode: true, policy: policy,
            readable: ["/proc", "/sys/devices/system", "/sys/fs/cgroup", "/dev/urandom"])
        try confinement.isolate()
        memory = try SharedMemory(
            descriptor: Confinement.firstDescriptor, inputBytes: numbers[0], outputBytes: numbers[1], side: .confined)
        do throws(ShimFailure) {
            try shim { gantry_torch_begin(Int32(clamping: numbers[3]), $0, $1) }
        } catch {
            throw SandboxError("libtorch does not work here: \(error.text)")
        }
        try confinement.seal()
    }

    /// Returns when the program is gone.
    func run() {
        guard send(.ready) else { return }
        while let question = receive() {
            let answer: ModelMessage
            do throws(ShimFailure) {
                answer = try self.answer(to: question)
            } catch {
                answer = .failed(Self.fault(error.code), text: error.text)
            }
            guard send(answer) else { return }
        }
    }

    private func answer(to question: ModelMessage) throws(ShimFailure) -> ModelMessage {
        if case .makeSmallCNN(let channels, let findings, let widths, let seed) = question {
            var bytes = 0
            try shim {
                gantry_torch_make_small_cnn(
                    Int64(channels), Int64(findings), widths, widths.count, seed, memory.output.baseAddress,
                    memory.output.count, &bytes, $0, $1)
            }
            return .made(bytes: bytes)
        }
        if case .load(let bytes, let layout) = question {
            let loaded = try LoadedModel(UnsafeRawBufferPointer(try input(0, bytes)), layout)
            model = loaded
            guard let list = try? JSONEncoder().encode(loaded.parameters),
                list.count <= min(memory.output.count, ModelMessage.mostListBytes)
            else { throw Self.refused("the list of its parameters is too long") }
            memory.output.copyBytes(from: list)
            return .loaded(bytes: list.count)
        }
        guard let model else { throw Self.refused("no model is loaded") }
        return try answer(to: question, with: model)
    }

    private func answer(to question: ModelMessage, with model: LoadedModel) throws(ShimFailure) -> ModelMessage {
        let output = floats(memory.output)
        switch question {
        case .run(let count, let isHalf, let isOptimised):
            let inputs = try input(0, model.bytes(of: count, isHalf: isHalf))
            guard let first = output.baseAddress, count * model.layout.findings <= output.count else {
                throw Self.refused("the outputs do not fit the memory")
            }
            try model.run(inputs.baseAddress, count: count, isHalf: isHalf, isOptimised: isOptimised, to: first)
            return .done
        case .masks, .activation:
            var activation: (output: Int, layer: String)?
            if case .activation(let output, let layer) = question { activation = (output, layer) }
            let input = try input(0, model.bytes(of: 1, isHalf: false))
            let (rows, columns) = try model.map(input.baseAddress, activation: activation, to: output)
            return .map(rows: rows, columns: columns)
        case .readParameters:
            try model.readParameters(to: output)
            return .done
        case .writeParameters:
            try model.writeParameters(from: UnsafeBufferPointer(floats(memory.input)))
            return .done
        case .beginTraining(let optimisation):
            try model.beginTraining(try input(0, model.parameters.count).baseAddress, optimisation)
            return .done
        case .accumulate(let count, let place):
            let inputs = try input(0, model.bytes(of: count, isHalf: true))
            let gradients = try input(place, count * model.layout.findings * MemoryLayout<Float>.size)
            guard let first = floats(gradients).baseAddress else { throw Self.refused("no gradients") }
            try model.accumulate(inputs.baseAddress, count: count, gradients: first)
            return .done
        case .step(let learningRate):
            try model.step(learningRate: learningRate)
            return .done
        default: throw Self.refused("this is no question")
        }
    }

    /// A part of the input memory.
    private func input(_ place: Int, _ bytes: Int) throws(ShimFailure) -> UnsafeMutableRawBufferPointer {
        guard place >= 0, bytes >= 0, place <= memory.input.count, bytes <= memory.input.count - place else {
            throw Self.refused("the inputs do not fit the memory")
        }
        return UnsafeMutableRawBufferPointer(rebasing: memory.input[place..<place + bytes])
    }

    private func floats(_ bytes: UnsafeMutableRawBufferPointer) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(
            start: bytes.baseAddress?.assumingMemoryBound(to: Float.self), count: bytes.count / MemoryLayout<Float>.size
        )
    }

    private static func refused(_ text: String) -> ShimFailure {
        ShimFailure(code: Int32(GANTRY_TORCH_ARGUMENT), text: text)
    }

    private static func fault(_ code: Int32) -> ModelMessage.Fault {
        switch Int(code) {
        case GANTRY_TORCH_NO_MEMORY: .memory
        case GANTRY_TORCH_OUTPUT_SHAPE: .outputShape
        case GANTRY_TORCH_NOT_FINITE: .notFinite
        case GANTRY_TORCH_LAYER: .layer
        default: .run
        }
    }

    private func receive() -> ModelMessage? {
        var count = 0
        guard gs_receive(Confinement.channel, &buffer, buffer.count, -1, &count) == 0 else { return nil }
        return try? JSONDecoder().decode(ModelMessage.self, from: Data(buffer.prefix(count)))
    }

    private func send(_ message: ModelMessage) -> Bool {
        guard let bytes = try? JSONEncoder().encode(message) else { return false }
        return bytes.withUnsafeBytes { gs_send(Confinement.channel, $0.baseAddress, $0.count) } == 0
    }
}
