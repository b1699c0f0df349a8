// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Sandbox
import Statements
import Synchronization

/// A seat for decoders: instances are decoded in a process of their own, which is replaced when it dies or hangs.
///
/// An instance over which a decoder died or hung is given to a second one, because the cause may lie outside it (the
/// kernel ran out of memory, somebody stopped the process). When that fails too it is the instance.
///
/// Belongs to one thread, but for `interrupt`.
public final class DecoderSeat: @unchecked Sendable {
    // `running` is for all threads, under its lock; everything else is touched by the seat's own thread alone.
    private struct Running {
        var id: pid_t?
        var isInterrupted = false
    }

    private let settings: DecoderSettings
    private let running = Mutex(Running())
    private let onFailure: @Sendable (ImagingError) -> Void
    private var memory: SharedMemory?
    private var process: DecoderProcess?
    private var instanceBytes = 0
    private var failures = 0
    private var isLarge = false

    /// What a decoder keeps in memory after an instance is bounded by this; after a larger one it is replaced.
    private static let largeBytes = 64 << 20
    private static let largeSamples = 1 << 24

    /// - Parameter onFailure: told on the seat's thread of each decoder that died or hung.
    public init(_ settings: DecoderSettings, onFailure: @escaping @Sendable (ImagingError) -> Void = { _ in }) {
        self.settings = settings
        self.onFailure = onFailure
    }

    /// Starts the decoder if none is running. Throws `unavailable` or `interrupted`.
    public func start() throws(DecoderError) {
        guard process == nil else { return }
        // `??` does not carry the type of what is thrown.
        let memory = if let memory { memory } else { try makeMemory() }
        self.memory = memory
        if running.withLock({ $0.isInterrupted }) { throw .interrupted }
        let started = try DecoderProcess(settings, memory)
        running.withLock { $0.id = started.id }
        process = started
    }

    /// What confines the running decoder; nil when none runs.
    public var layers: SandboxLayers? { process?.layers }

    private func makeMemory() throws(DecoderError) -> SharedMemory {
        do throws(SandboxError) {
            return try SharedMemory(inputBytes: settings.instanceBytes, outputBytes: settings.outputBytes)
        } catch {
            throw .unavailable(error.description)
        }
    }

    /// Hands an instance to the decoder and reads its header. Of one that is larger than the settings allow only the
    /// beginning is read, and `image` says `too-large`.
    public func open(_ bytes: UnsafeRawBufferPointer) throws(DecoderError) -> InstanceHeader {
        try open(bytes: bytes.count) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix($0.count))) }
    }

    /// As `open`, for an instance that lies in pieces.
    ///
    /// - Parameters:
    ///   - count: bytes of the instance.
    ///   - copy: fills the decoder's memory with the instance's first bytes, as many as there is room.
    public func open(
        bytes count: Int, copyingWith copy: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(DecoderError) -> InstanceHeader {
        try start()
        failures = 0
        instanceBytes = min(count, settings.instanceBytes)
        isLarge = instanceBytes > Self.largeBytes
        process?.hasInstance = false
        if let input = memory?.input { copy(UnsafeMutableRawBufferPointer(rebasing: input.prefix(instanceBytes))) }
        guard case .opened(var header) = try ask(.open(bytes: instanceBytes, elements: settings.elements)) else {
            throw .instance(Self.nonsense)
        }
        if instanceBytes < count {
            header.image = .failure(
                ImagingError(
                    .tooLarge,
                    "the instance has \(count >> 20) MB; instance_megabytes is \(settings.instanceBytes >> 20)"))
        }
        if case .success(let image) = header.image, image.samplesPerFrame > Self.largeSamples { isLarge = true }
        return header
    }

    /// The inputs that some frames of the open instance make, one array for each preprocessing.
    public func prepare(_ frames: Range<Int>, for plan: PreprocessingPlan) throws(DecoderError) -> [[Float]] {
        let bytes = frames.count * plan.bytesPerFrame
        guard bytes <= settings.outputBytes else {
            throw .instance(ImagingError(.tooLarge, "the models ask for inputs of \(bytes >> 20) MB"))
        }
        guard
            case .prepared = try ask(.prepare(first: frames.lowerBound, count: frames.count, plan: plan.json)),
            let output = memory?.output.bindMemory(to: Float.self).baseAddress
        else { throw .instance(Self.nonsense) }
        var first = 0
        return plan.preprocessings.map { preprocessing in
            let count = frames.count * preprocessing.valuesPerInput
            defer { first += count }
            return Array(UnsafeBufferPointer(start: output + first, count: count))
        }
    }

    /// The coded content of the open instance, which is a structured report or key object selection.
    public func document() throws(DecoderError) -> ReportDocument {
        guard case .described(let bytes) = try ask(.describe), let output = memory?.output,
            bytes <= min(output.count, DecoderMessage.mostDocumentBytes),
            let document = try? JSONDecoder().decode(ReportDocument.self, from: Data(output.prefix(bytes)))
        else { throw .instance(Self.nonsense) }
        return document
    }

    /// Where a frame of the open instance lies in the inputs that `prepare` makes of it, one for each preprocessing.
    public func place(_ frame: Int, for plan: PreprocessingPlan) throws(DecoderError) -> [InputPlacement] {
        guard case .placed(let placements) = try ask(.place(frame: frame, plan: plan.json)),
            placements.count == plan.preprocessings.count
        else { throw .instance(Self.nonsense) }
        return placements
    }

    /// How many frames one question may ask for.
    public func mostFrames(_ plan: PreprocessingPlan) -> Int {
        max(1, settings.outputBytes / max(1, plan.bytesPerFrame))
    }

    /// Processor time that the running decoder has used, in seconds; 0 when none runs.
    public var processorSeconds: Double {
        var clock = clockid_t()
        var time = timespec()
        guard let process, clock_getcpuclockid(process.id, &clock) == 0, clock_gettime(clock, &time) == 0 else {
            return 0
        }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The open instance is done with.
    public func close() {
        guard isLarge else { return }
        isLarge = false
        _ = endProcess()
        memory?.release()
    }

    /// Ends the decoder.
    public func stop() {
        _ = endProcess()
        memory = nil
    }

    /// Ends the decoder from any thread; what waits for it throws `interrupted`, now and from then on.
    public func interrupt() {
        running.withLock { running in
            running.isInterrupted = true
            // The id is valid: the seat's thread forgets it under this lock before it reaps the process.
            if let id = running.id { kill(id, SIGKILL) }
        }
    }

    private static let nonsense = ImagingError(.internal, "the decoder's answer does not fit the question")

    /// The answer; what it says has failed is thrown.
    private func ask(_ question: DecoderMessage) throws(DecoderError) -> DecoderMessage {
        while true {
            try start()
            guard let process else { throw .interrupted }
            switch Result(catching: { () throws(DecoderProcess.Silence) in try exchange(question, process) }) {
            case .success(.failed(let error)): throw .instance(error)
            case .success(let answer): return answer
            case .failure(let silence):
                let end = endProcess()
                if running.withLock({ $0.isInterrupted }) { throw .interrupted }
                failures += 1
                let error =
                    switch silence {
                    case .died: ImagingError(.decoderDied, "the decoder \(end ?? "ended") over this instance")
                    case .hung:
                        ImagingError(
                            .decoderHung,
                            "the decoder gave no answer over this instance for \(settings.answerSeconds) s")
                    }
                onFailure(error)
                if failures > 1 { throw .instance(ImagingError(error.reason, error.detail + ", twice")) }
            }
        }
    }

    private func exchange(
        _ question: DecoderMessage, _ process: DecoderProcess
    ) throws(DecoderProcess.Silence) -> DecoderMessage {
        if !process.hasInstance, question.isAboutInstance {
            // A successor begins with the instance, which is still in the shared memory.
            _ = try process.ask(
                .open(bytes: instanceBytes, elements: settings.elements), seconds: settings.answerSeconds)
        }
        let answer = try process.ask(question, seconds: settings.answerSeconds)
        process.hasInstance = true
        return answer
    }

    private func endProcess() -> String? {
        running.withLock { $0.id = nil }
        defer { process = nil }
        return process?.end()
    }
}
