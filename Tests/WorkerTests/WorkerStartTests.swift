// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Logging
import Testing
import ZeroMQ

@testable import WorkerService

/// A start that fails leaves nothing behind. Each test counts threads and descriptors in a process of its own.
struct WorkerStartTests {
    @Test(arguments: Worker.Part.allCases)
    func `A worker that cannot start a part leaves no thread or descriptor, and the next start works`(
        part: Worker.Part
    ) async {
        await #expect(processExitsWith: .success) { [part] in
            let bench = try Bench()
            // Once, so that what the process makes once is there.
            try bench.start().stop()
            let before = Bench.Holdings()
            #expect(throws: Bench.Fault.self) {
                try bench.start { if $0 == part { throw Bench.Fault() } }
            }
            #expect(Bench.Holdings.settle(before))
            try bench.start().stop()
            #expect(Bench.Holdings.settle(before))
        }
    }

    @Test func `An endpoint that is taken and a decoder that is missing leave nothing behind`() async {
        await #expect(processExitsWith: .success) {
            var bench = try Bench()
            try bench.start().stop()
            let before = Bench.Holdings()
            bench.settings.decoder = URL(filePath: "/nowhere/gantry-decoder")
            for _ in 0..<3 { #expect(throws: SettingsError.self) { try bench.start() } }
            bench.settings.decoder = nil
            // A scope of its own: a worker keeps its database open as long as somebody holds it.
            do {
                let other = try Bench()
                let running = try other.start()
                bench.settings.endpoint = running.endpoint
                for _ in 0..<3 { #expect(throws: (any Error).self) { try bench.start() } }
                running.stop()
            }
            #expect(Bench.Holdings.settle(before))
        }
    }
}

/// A worker without packages, with a hub that nobody runs.
private struct Bench {
    struct Fault: Error {}

    var settings: WorkerSettings
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        settings = WorkerSettings(state: folder.url.appending(path: "state", directoryHint: .isDirectory))
        settings.endpoint = "ipc://\(folder.url.path)/worker.ipc"
        let keys = try CurveKeyPair.generate()
        settings.siteKey = try CurveKeyFile.write(keys, name: "site", to: folder.url.appending(path: "keys")).secret
        settings.hub = "tcp://127.0.0.1:9"
        settings.hubKey = keys.publicKey
    }

    func start(_ starting: (Worker.Part) throws -> Void = { _ in }) throws -> Worker {
        try Worker(
            settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, context: Context(),
            timepiece: .system, starting: starting)
    }

    /// What this process has.
    struct Holdings {
        let threads = Self.count("/proc/self/task")
        let descriptors = Self.count("/proc/self/fd")

        private static func count(_ folder: String) -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: folder).count) ?? .max
        }

        /// Whether there is soon no more than before: libzmq ends its threads, and the system its processes, in a moment.
        static func settle(_ before: Holdings) -> Bool {
            let deadline = ContinuousClock.now + .seconds(20)
            while ContinuousClock.now < deadline {
                let now = Holdings()
                if now.threads <= before.threads, now.descriptors <= before.descriptors { return true }
                usleep(20_000)
            }
            return false
        }
    }
}
