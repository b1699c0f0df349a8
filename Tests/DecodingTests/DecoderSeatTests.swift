// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Phantoms
import Synchronization
import Testing

@testable import Decoding

/// Real decoder processes and real signals. Each test runs on one thread, whose children are its seat's decoders.
struct DecoderSeatTests {
    private let small = PreprocessingPlan([
        Preprocessing(height: 32, width: 48, channels: [.percentiles, .window(center: 40, width: 80)]),
        Preprocessing(height: 8, width: 8, channels: [.ownWindow], normalise: .init(mean: [0.5], deviation: [2])),
    ])
    /// Keeps a decoder busy for a while.
    private let slow = PreprocessingPlan([Preprocessing(height: 6000, width: 6000, channels: [.percentiles])])

    private func settings(seconds: Double = 30, privateBytes: Int = 2 << 30, instanceBytes: Int = 64 << 20) throws
        -> DecoderSettings
    {
        let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        let decoder = program.deletingLastPathComponent().appending(path: "gantry-decoder")
        return DecoderSettings(
            executable: decoder.path, answerSeconds: seconds, privateBytes: privateBytes, instanceBytes: instanceBytes)
    }

    private func instance(_ syntax: PhantomTransferSyntax = .explicitLittleEndian, matrix: Int = 64) throws -> Data {
        try PhantomStudy.headCT(seed: 3, index: 1, look: .a, isPositive: true, slices: 4, matrix: matrix)
            .instance(0, transferSyntax: syntax)
    }

    private func open(_ data: Data, _ seat: DecoderSeat) throws -> InstanceHeader {
        try data.withUnsafeBytes { try seat.open($0) }
    }

    /// The calling thread, as the kernel numbers it.
    private static var thread: String {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
        return link?.split(separator: "/").last.map(String.init) ?? ""
    }

    /// Whether memory is not limited (`gs_isolate`).
    private static let isUnderAddressSanitizer = dlsym(nil, "__asan_init") != nil

    /// The decoders of a thread.
    private static func children(of thread: String) -> [pid_t] {
        let text = (try? String(contentsOfFile: "/proc/self/task/\(thread)/children", encoding: .utf8)) ?? ""
        return text.split(separator: " ").compactMap { pid_t($0) }
    }

    /// Sealed is the last that a decoder becomes before it says that it is ready.
    private static func isReady(_ decoder: pid_t) -> Bool {
        let status = try? String(contentsOfFile: "/proc/\(decoder)/status", encoding: .utf8)
        return status?.contains("Seccomp:\t2") == true
    }

    /// Runs a body while every decoder that this thread starts gets a signal.
    private func signalling<Value>(_ signal: Int32, _ body: () throws -> Value) rethrows -> Value {
        let thread = Self.thread
        let over = Over()
        // A thread of its own: the pools are busy with tests that wait.
        Thread {
            while !over.isOver.load(ordering: .relaxed) {
                for child in Self.children(of: thread) where Self.isReady(child) { kill(child, signal) }
                usleep(500)
            }
            over.hasEnded.signal()
        }.start()
        defer {
            over.isOver.store(true, ordering: .relaxed)
            over.hasEnded.wait()
        }
        return try body()
    }

    private final class Over: Sendable {
        let isOver = Atomic<Bool>(false)
        let hasEnded = DispatchSemaphore(value: 0)
    }

    /// Asks again where a decoder was hit before it was ready, which says nothing about the instance.
    private func failure(_ body: () throws -> Void) -> ImagingError? {
        while true {
            do {
                try body()
                return nil
            } catch DecoderError.instance(let error) {
                return error
            } catch DecoderError.unavailable {
                continue
            } catch {
                Issue.record(error)
                return nil
            }
        }
    }

    @Test(arguments: [PhantomTransferSyntax.explicitLittleEndian, .jpegLossless, .rle])
    func `Inputs from a decoder are those that are made here`(syntax: PhantomTransferSyntax) throws {
        let data = try instance(syntax)
        let seat = DecoderSeat(try settings())
        defer { seat.stop() }
        let header = try open(data, seat)
        let here = try DicomInstance(data)
        #expect(header == InstanceHeader(here))
        #expect(header.image == .success(.init(frames: 1, rows: 64, columns: 64, samplesPerFrame: 64 * 64)))
        let frame = Frame()
        let expected = try InstanceReader.read(data) { reader throws(ImagingError) in
            try reader.decode(0, into: frame)
            var inputs: [[Float]] = []
            for preprocessing in small.preprocessings {
                inputs.append(try Preprocessor(preprocessing).input(from: frame))
            }
            return inputs
        }
        #expect(try seat.prepare(0..<1, for: small) == expected)
    }

    @Test func `What is wrong with an instance comes back by name and the next one is decoded`() throws {
        let seat = DecoderSeat(try settings())
        defer { seat.stop() }
        #expect(throws: DecoderError.self) { try open(Data(repeating: 7, count: 5000), seat) }
        #expect(throws: DecoderError.self) { try open(Data(), seat) }
        let good = try instance()
        let cut = try open(good.prefix(good.count - 100), seat)
        #expect(cut.studyInstanceUID != nil)
        guard case .failure(let error) = cut.image else { return #expect(Bool(false), "a cut instance has an image") }
        #expect(error.reason == .truncated)
        _ = try open(good, seat)
        #expect(failure { _ = try seat.prepare(5..<6, for: small) }?.reason == .noSuchFrame)
        #expect(try seat.prepare(0..<1, for: small).map(\.count) == [2 * 32 * 48, 64])
        #expect(Self.children(of: Self.thread).count == 1)
    }

    @Test(arguments: [SIGSEGV, SIGKILL, SIGABRT])
    func `A decoder that dies between two questions is replaced and the instance is not lost`(signal: Int32) throws {
        let failures = Mutex<[ImagingError]>([])
        let seat = DecoderSeat(try settings()) { error in failures.withLock { $0.append(error) } }
        defer { seat.stop() }
        _ = try open(try instance(), seat)
        let expected = try seat.prepare(0..<1, for: small)
        let first = Self.children(of: Self.thread)
        for child in first { kill(child, signal) }
        #expect(try seat.prepare(0..<1, for: small) == expected)
        #expect(failures.withLock { $0.map(\.reason) } == [.decoderDied])
        #expect(failures.withLock { $0.first?.detail.contains("signal \(signal)") } == true)
        #expect(Self.children(of: Self.thread) != first)
    }

    @Test(arguments: [SIGSEGV, SIGKILL])
    func `An instance over which two decoders die is set aside with its identity and the next one is decoded`(
        signal: Int32
    ) throws {
        let seat = DecoderSeat(try settings())
        defer { seat.stop() }
        let header = try open(try instance(), seat)
        #expect(header.sopInstanceUID != nil)
        let error = signalling(signal) { failure { _ = try seat.prepare(0..<4, for: slow) } }
        #expect(error?.reason == .decoderDied)
        #expect(error?.detail.contains("signal \(signal)") == true)
        _ = try open(try instance(), seat)
        _ = try seat.prepare(0..<1, for: small)
    }

    @Test func `A decoder says where a frame lies in the inputs`() throws {
        let seat = DecoderSeat(try settings())
        defer { seat.stop() }
        let file = try instance()
        _ = try open(file, seat)
        let placements = try seat.place(0, for: small)
        let expected = try InstanceReader.read(file) { reader throws(ImagingError) in
            let frame = Frame()
            try reader.decode(0, into: frame)
            var placements: [InputPlacement] = []
            for preprocessing in small.preprocessings {
                placements.append(try Preprocessor(preprocessing).placement(of: frame))
            }
            return placements
        }
        #expect(placements == expected)
        #expect(failure { _ = try seat.place(7, for: small) }?.reason == .noSuchFrame)
        // What was asked before goes on.
        _ = try seat.prepare(0..<1, for: small)
    }

    @Test func `An instance over which two decoders hang is set aside`() throws {
        let seat = DecoderSeat(try settings(seconds: 0.3))
        defer { seat.stop() }
        _ = try open(try instance(), seat)
        // Longer than 0.3 s also when a decoder is through before the signal comes.
        let slower = PreprocessingPlan([
            Preprocessing(height: 6000, width: 6000, channels: [.percentiles, .ownWindow, .percentiles])
        ])
        let error = signalling(SIGSTOP) { failure { _ = try seat.prepare(0..<1, for: slower) } }
        #expect(error?.reason == .decoderHung)
    }

    @Test(.disabled(if: DecoderSeatTests.isUnderAddressSanitizer, "the address sanitizer takes terabytes of addresses"))
    func `A decoder cannot take more memory than it may have`() throws {
        let seat = DecoderSeat(try settings(privateBytes: 10 << 20))
        defer { seat.stop() }
        _ = try open(try instance(.jpeg2000, matrix: 1024), seat)
        let error = failure { _ = try seat.prepare(0..<1, for: small) }
        #expect(error.map { [.decoderMemory, .decodeFailed, .decoderDied].contains($0.reason) } == true)
        _ = try open(try instance(), seat)
        _ = try seat.prepare(0..<1, for: small)
    }

    @Test func `Of an instance that is larger than allowed the identity is read`() throws {
        let seat = DecoderSeat(try settings(instanceBytes: 1 << 20))
        defer { seat.stop() }
        let header = try open(try instance(matrix: 1024), seat)
        #expect(header.studyInstanceUID != nil && header.sopInstanceUID != nil)
        guard case .failure(let error) = header.image else { return #expect(Bool(false), "it has an image") }
        #expect(error.reason == .tooLarge)
    }

    @Test func `A seat that is told to stop ends its decoder and what waits for it`() throws {
        let seat = DecoderSeat(try settings())
        defer { seat.stop() }
        _ = try open(try instance(), seat)
        seat.interrupt()
        #expect(throws: DecoderError.interrupted) { try seat.prepare(0..<1, for: small) }
        #expect(throws: DecoderError.interrupted) { try open(try instance(), seat) }
        #expect(Self.children(of: Self.thread).isEmpty)
    }

    @Test func `A decoder that cannot be started does not speak against the instance`() throws {
        var settings = try settings()
        settings.executable = "/bin/false"
        let seat = DecoderSeat(settings)
        defer { seat.stop() }
        #expect {
            try open(try instance(), seat)
        } throws: { error in
            if case DecoderError.unavailable(let reason)? = error as? DecoderError {
                reason.contains("ended with status 1")
            } else {
                false
            }
        }
        settings.executable = "/nowhere/gantry-decoder"
        #expect(throws: DecoderError.unavailable("/nowhere/gantry-decoder: No such file or directory")) {
            try DecoderSeat(settings).start()
        }
    }

    @Test func `A decoder has no descriptors but its own and may not leave a core`() throws {
        let seat = DecoderSeat(try settings())
        defer { seat.stop() }
        try seat.start()
        let child = try #require(Self.children(of: Self.thread).first)
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child)/fd").compactMap {
            Int($0)
        }
        #expect(Set(descriptors).isSubset(of: [0, 1, 2, 3, 5]))
        let limits = try String(contentsOfFile: "/proc/\(child)/limits", encoding: .utf8)
        #expect(limits.contains(try Regex("Max core file size +0 +0 ")))
        if !Self.isUnderAddressSanitizer {
            #expect(limits.contains(try Regex("Max data size +\(2 << 30) +\(2 << 30) ")))
        }
        let status = try String(contentsOfFile: "/proc/\(child)/status", encoding: .utf8)
        #expect(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"))
    }
}
