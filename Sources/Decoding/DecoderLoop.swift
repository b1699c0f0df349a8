// SPDX-License-Identifier: GPL-3.0-or-later
import CSandbox
import Foundation
import Imaging
import ModelPackage
import Sandbox

/// The inside of a decoder process: answers questions about one instance after the other until its worker is gone.
public final class DecoderLoop {
    private let memory: SharedMemory
    private let frame = Frame()
    private var buffer = [UInt8](repeating: 0, count: DecoderMessage.mostBytes)
    private var plan = ""
    private var preprocessors: [Preprocessor] = []

    /// Confines the process and takes up the descriptors it was started with.
    ///
    /// - Parameter arguments: bytes of the input memory, of the output memory, and that the process may have of its own;
    ///   what it asks of its sandbox (`SandboxPolicy`).
    /// - Throws: `DecoderError.unavailable` where it was not started by a worker, or cannot be confined.
    public init(arguments: [String]) throws(DecoderError) {
        let sizes = arguments.prefix(3).compactMap { Int($0) }
        guard arguments.count == 4, sizes.count == 3, sizes.allSatisfy({ $0 > 0 && $0 < 1 << 48 }),
            let policy = SandboxPolicy(rawValue: arguments[3])
        else { throw .unavailable("gantry-decoder is started by gantry-worker, with memory and a socket") }
        let confinement = Confinement(
            privateBytes: UInt64(sizes[2]),
            // Libraries and their tables take addresses too.
            addressBytes: UInt64(sizes[0] + sizes[1] + sizes[2] + (1 << 30)), policy: policy)
        do throws(SandboxError) {
            // While the files of the system can still be read.
            DicomTables.read()
            try confinement.isolate()
            memory = try SharedMemory(
                descriptor: Confinement.firstDescriptor, inputBytes: sizes[0], outputBytes: sizes[1], side: .confined)
            try confinement.seal()
        } catch {
            throw .unavailable(error.description)
        }
    }

    /// Returns when the worker is gone.
    public func run() {
        guard send(.ready) else { return }
        var waiting = receive()
        while let question = waiting {
            waiting = nil
            switch question {
            case .open(let bytes, let elements) where bytes <= memory.input.count:
                let instance = UnsafeRawBufferPointer(rebasing: memory.input.prefix(bytes))
                do throws(ImagingError) {
                    waiting = try InstanceReader.read(instance) { reader throws(ImagingError) in
                        serve(reader, elements)
                    }
                } catch {
                    guard send(.failed(error)) else { return }
                }
            default:
                guard send(.failed(ImagingError(.internal, "no instance is open"))) else { return }
            }
            if waiting == nil { waiting = receive() }
        }
    }

    /// The first question that is not about this instance; nil when the worker is gone.
    private func serve(_ reader: borrowing InstanceReader, _ elements: [ElementAddress]) -> DecoderMessage? {
        var header = InstanceHeader(reader.instance)
        for element in elements { header.elements.append(reader.integer(at: element)) }
        guard send(.opened(header)) else { return nil }
        while let question = receive() {
            do throws(ImagingError) {
                switch question {
                case .prepare(let first, let count, let plan):
                    try take(plan)
                    try prepare(first, count, of: reader)
                    guard send(.prepared) else { return nil }
                case .describe:
                    let bytes = try describe(reader)
                    guard send(.described(bytes: bytes)) else { return nil }
                case .place(let index, let plan):
                    try take(plan)
                    guard send(.placed(try place(index, of: reader))) else { return nil }
                default: return question
                }
            } catch {
                guard send(.failed(error)) else { return nil }
            }
        }
        return nil
    }

    private func take(_ plan: String) throws(ImagingError) {
        guard plan != self.plan || preprocessors.isEmpty else { return }
        guard let list = try? JSONDecoder().decode([Preprocessing].self, from: Data(plan.utf8)) else {
            throw ImagingError(.invalidArgument, "the models' preprocessing cannot be read")
        }
        preprocessors = []
        for preprocessing in list { preprocessors.append(try Preprocessor(preprocessing)) }
        self.plan = plan
    }

    private func prepare(_ first: Int, _ count: Int, of reader: borrowing InstanceReader) throws(ImagingError) {
        let values = preprocessors.reduce(0) { $0 + $1.preprocessing.valuesPerInput }
        let room = UnsafeMutableBufferPointer(
            start: memory.output.baseAddress?.assumingMemoryBound(to: Float.self),
            count: memory.output.count / MemoryLayout<Float>.size)
        guard values <= room.count / count else {
            throw ImagingError(.tooLarge, "\(count) frames need more than the \(memory.output.count) bytes there are")
        }
        for offset in 0..<count {
            try reader.decode(first + offset, into: frame)
            var start = 0
            for preprocessor in preprocessors {
                let input = preprocessor.preprocessing.valuesPerInput
                let place = start + offset * input
                try preprocessor.prepare(frame, into: UnsafeMutableBufferPointer(rebasing: room[place..<place + input]))
                start += count * input
            }
        }
    }

    private func describe(_ reader: borrowing InstanceReader) throws(ImagingError) -> Int {
        let document = try reader.document()
        guard let json = try? JSONEncoder().encode(document) else {
            throw ImagingError(.internal, "the document cannot be written as JSON")
        }
        guard json.count <= min(memory.output.count, DecoderMessage.mostDocumentBytes) else {
            throw ImagingError(.tooLarge, "the document's codes are \(json.count >> 20) MB")
        }
        memory.output.copyBytes(from: json)
        return json.count
    }

    private func place(_ index: Int, of reader: borrowing InstanceReader) throws(ImagingError) -> [InputPlacement] {
        try reader.decode(index, into: frame)
        var placements: [InputPlacement] = []
        for preprocessor in preprocessors { placements.append(try preprocessor.placement(of: frame)) }
        return placements
    }

    private func receive() -> DecoderMessage? {
        var count = 0
        guard gs_receive(Confinement.channel, &buffer, buffer.count, -1, &count) == 0 else { return nil }
        return DecoderMessage(buffer.prefix(count))
    }

    private func send(_ message: DecoderMessage) -> Bool {
        let bytes = message.bytes
        return gs_send(Confinement.channel, bytes, bytes.count) == 0
    }
}
