// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Synchronization
import Tensors
import Testing

@testable import Torch

/// Real model processes and real signals. Each test runs on one thread, whose children are its model processes.
@Suite struct ModelProcessTests {
    private func makeSandbox(
        _ executable: String = ModelSandbox.Settings.executableBeside, seconds: Double = 60,
        onFailure: @escaping @Sendable (ProcessFailure) -> Void = { _ in }
    ) -> ModelSandbox {
        ModelSandbox(.init(executable: executable, answerSeconds: seconds), onFailure: onFailure)
    }

    /// The processes that this thread has started.
    private static var children: [pid_t] {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
        let thread = link?.split(separator: "/").last.map(String.init) ?? ""
        let text = (try? String(contentsOfFile: "/proc/self/task/\(thread)/children", encoding: .utf8)) ?? ""
        return text.split(separator: " ").compactMap { pid_t($0) }
    }

    private func failure(_ body: () throws -> Void) -> ProcessFailure.Kind? {
        do {
            try body()
            return nil
        } catch TorchError.process(let failure) {
            return failure.kind
        } catch {
            Issue.record(error)
            return nil
        }
    }

    @Test(arguments: [SIGKILL, SIGSEGV, SIGABRT])
    func `A model whose process ends says so from then on, and another one is not disturbed`(signal: Int32) throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            let failures = Mutex<[ProcessFailure.Kind]>([])
            let sandbox = makeSandbox { failure in failures.withLock { $0.append(failure.kind) } }
            let model = try TorchModel(package: package, in: sandbox)
            let first = Self.children
            let other = try TorchModel(package: package, in: sandbox)
            #expect(first.count == 1 && Self.children.count == 2)
            for child in first { kill(child, signal) }
            #expect(failure { try model.warmUp() } == .died)
            #expect(failure { _ = try model.parameters() } == .died)
            try other.warmUp()
            #expect(failures.withLock { $0 } == [.died])
        }
    }

    @Test func `A model that is silent is ended`() throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            let model = try TorchModel(package: package, in: makeSandbox(seconds: 0.5))
            for child in Self.children { kill(child, SIGSTOP) }
            #expect(failure { try model.warmUp() } == .hung)
            #expect(Self.children.isEmpty)
        }
    }

    @Test func `What waits for a model ends when the sandbox is interrupted, and no model is loaded any more`() throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            let sandbox = makeSandbox(seconds: 3600)
            let model = try TorchModel(package: package, in: sandbox)
            for child in Self.children { kill(child, SIGSTOP) }
            Thread { sandbox.interrupt() }.start()
            #expect(throws: TorchError.cancelled) { try model.warmUp() }
            #expect(throws: TorchError.cancelled) { _ = try TorchModel(package: package, in: sandbox) }
        }
    }

    @Test func `Without the executable no model can be loaded, and that says nothing about the model`() throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            do throws(TorchError) {
                _ = try TorchModel(package: package, in: makeSandbox("/nonexistent/gantry-model"))
                Issue.record("loaded")
            } catch {
                guard case .unavailable(let reason) = error else {
                    Issue.record(error)
                    return
                }
                #expect(reason.contains("/nonexistent/gantry-model"))
            }
        }
    }

    // MARK: A process that is no longer itself

    /// A program that says it is ready and then answers every question with one text, after it has written to the memory.
    private func liar(_ directory: URL, answer: String, memory: String = "") throws -> String {
        let file = directory.appending(path: "liar-\(UUID())")
        let text = """
            #!/usr/bin/python3
            import mmap, os, socket, struct, sys
            channel = socket.socket(fileno=3)
            inputs, outputs = int(sys.argv[1]), int(sys.argv[2])
            output = mmap.mmap(5, outputs, offset=inputs)
            channel.send(b'{"ready":{}}')
            first = True
            while channel.recv(1 << 20):
                content = \(memory.isEmpty ? "b''" : memory)
                output[:len(content)] = content
                channel.send(\(answer))
                first = False
            """
        try Data(text.utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file.path)
        return file.path
    }

    @Test(arguments: [
        ("b'nonsense'", ""),
        ("b'{\"done\":{}}'", ""),
        ("b'{\"loaded\":{\"bytes\":-1}}'", ""),
        ("b'{\"loaded\":{\"bytes\":9223372036854775807}}'", ""),
        ("b'{\"loaded\":{\"bytes\":5}}'", "b'\\xff\\xfe\\x00[['"),
        ("b'{\"loaded\":{\"bytes\":%d}}' % len(content)", #"b'[{"name":"a","shape":[-1]}]'"#),
        ("b'{\"loaded\":{\"bytes\":%d}}' % len(content)", #"b'[{"name":"a","shape":[4611686018427387904,4]}]'"#),
        ("b'{\"loaded\":{\"bytes\":%d}}' % len(content)", #"b'[{"name":"a","shape":[1073741824]}]'"#),
        ("b'{\"loaded\":{\"bytes\":%d}}' % len(content)", #"b'[{"name":"a","shape":[1]},{"name":"a","shape":[1]}]'"#),
        ("b'{\"loaded\":{\"bytes\":%d}}' % len(content)", #"b'[{"name":"a\\u001b[2J","shape":[1]}]'"#),
        ("b'{\"loaded\":{\"bytes\":%d}}' % len(content)", "b'[' * 100000"),
        ("b'x' * 100000", ""),
        ("b'['* 30000", ""),
    ])
    func `An answer to loading that does not fit is the end of the process`(answer: String, memory: String) throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            let sandbox = makeSandbox(try liar(directory, answer: answer, memory: memory))
            #expect(failure { _ = try TorchModel(package: package, in: sandbox) } == .died)
        }
    }

    /// Loads one parameter, then answers with one text.
    private func halfLiar(_ directory: URL, answer: String, floats: String = "0.0") throws -> ModelSandbox {
        let list = #"b'[{"name":"a","shape":[1]}]'"#
        return makeSandbox(
            try liar(
                directory,
                answer: "b'{\"loaded\":{\"bytes\":%d}}' % len(content) if first else \(answer)",
                memory: "(\(list) if first else struct.pack('<64f', *[\(floats)] * 64))"))
    }

    @Test func `Outputs and maps of a process that lies are refused`() throws {
        try withTemporaryDirectory { directory in
            let package = try ToyStudies(directory: directory).package()
            func model(_ answer: String, floats: String = "0.0") throws -> TorchModel {
                try TorchModel(package: package, in: try halfLiar(directory, answer: answer, floats: floats))
            }
            #expect(failure { try model("b'{\"ready\":{}}'").warmUp() } == .died)
            #expect(throws: TorchError.notFinite(reason: "an output is not a finite number")) {
                try model("b'{\"done\":{}}'", floats: "float('nan')").warmUp()
            }
            let input = [Float](repeating: 0, count: InputShape(package.manifest.preprocessing).valueCount)
            for size in [(0, 1), (-1, 5), (1 << 40, 1 << 40), (33, 32), (1025, 1)] {
                let answer = "b'{\"map\":{\"rows\":\(size.0),\"columns\":\(size.1)}}'"
                let liar = try model(answer)
                #expect(failure { _ = try liar.activation(of: input, finding: 0, layer: "x") } == .died)
            }
            let text = "b'{\"failed\":{\"_0\":\"run\",\"text\":\"\\\\u001b[2Jone\\\\ntwo\\\\u0000three\"}}'"
            #expect(throws: TorchError.run(reason: "[2Jone twothree")) { try model(text).warmUp() }
        }
    }
}
