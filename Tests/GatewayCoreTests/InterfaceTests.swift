// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import SQLite
import Testing

@testable import GatewayCore

@Suite struct InterfaceTests {
    @Test func `misuse is a code, never a crash`() throws {
        let place = try Place()
        let host = ScriptedHost()
        var text = gantry_text(struct_size: MemoryLayout<gantry_text>.size, bytes: nil, length: 0)
        #expect(gantry_open(nil, nil, nil, 0) == Code.badArgument)
        #expect(gantry_status_json(nil, &text) == Code.badHandle)
        #expect(gantry_status_json(OpaquePointer(bitPattern: 0xdead_beef), &text) == Code.badHandle)
        #expect(gantry_close(nil, 0) == Code.badHandle)
        gantry_text_free(nil)

        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(gantry_instance_stored(gateway.handle, nil) == Code.badArgument)
        var small = gantry_instance()
        small.struct_size = 8
        #expect(gantry_instance_stored(gateway.handle, &small) == Code.badStructSize)
        #expect(gateway.stored("", nil, size: 0) == Code.badArgument)
        #expect(gateway.stored("a b", nil, size: 0) == Code.badArgument)
        #expect(gateway.stored(String(repeating: "x", count: 129), nil, size: 0) == Code.badArgument)
        #expect(gateway.stored("negative", [1], size: -1) == Code.ok)
        #expect(gantry_status_json(gateway.handle, nil) == Code.badArgument)
        var tiny = gantry_text(struct_size: 4, bytes: nil, length: 0)
        #expect(gantry_status_json(gateway.handle, &tiny) == Code.badStructSize)
        #expect(gantry_study_complete(gateway.handle, nil) == Code.badArgument)
        #expect(gantry_review(gateway.handle, "1.2", nil, 5, &text) == Code.badArgument)
        #expect(gantry_review(gateway.handle, "1.2", "{}", -1, &text) == Code.badArgument)
        gantry_text_free(&text)

        gateway.close()
        #expect(gateway.stored("late", [1], size: 1) == Code.closed)
        #expect(gantry_status_json(gateway.handle, &text) == Code.closed)
        #expect(gantry_close(gateway.handle, 0) == Code.closed)
        #expect(host.state.withLock { $0.isDestroyed })
    }

    @Test func `a host with a struct that is too small is told so`() {
        var host = gantry_host()
        host.struct_size = 16
        var handle: OpaquePointer?
        var reason = [CChar](repeating: 1, count: 40)
        let code = withUnsafePointer(to: &host) { host in
            var options = gantry_options()
            options.struct_size = MemoryLayout<gantry_options>.size
            options.host = host
            return gantry_open(&options, &handle, &reason, reason.count)
        }
        #expect(code == Code.badStructSize)
        #expect(handle == nil)
        let words = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #expect(words.hasPrefix("gantry_host: struct_size"))
    }

    @Test func `calls from many threads while it closes do no harm`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        nonisolated(unsafe) let shared = gateway
        DispatchQueue.concurrentPerform(iterations: 8) { lane in
            for number in 0..<200 {
                let code = host.store("\(lane)-\(number)", [UInt8](repeating: 1, count: 1_000), in: shared)
                #expect(code == Code.ok || code == Code.closed)
                if lane == 0, number == 100 { shared.close() }
                if number % 50 == 0 { _ = shared.status }
            }
        }
    }

    @Test func `a directory in use is refused without touching anybody's descriptors`() throws {
        let place = try Place()
        let directory = place.directory.path
        let lock = try DirectoryLock(directory: directory)
        DispatchQueue.concurrentPerform(iterations: 4) { lane in
            for _ in 0..<1_000 {
                if lane == 0 {
                    #expect(throws: SQLiteError.self) { try DirectoryLock(directory: directory) }
                } else {
                    let descriptor = open("/dev/null", O_RDONLY)
                    #expect(close(descriptor) == 0)
                }
            }
        }
        withExtendedLifetime(lock) {}
    }

    @Test func `what was handed over before the stop is in the outbox after it`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        for number in 0..<500 { #expect(host.store("i\(number)", [1], in: gateway) == 0) }
        gateway.close()
        let database = try Connection(path: place.directory.path + "/gateway.sqlite")
        #expect(try database.first("SELECT count(*) FROM outbox") { $0.integer(0) } == 500)
    }

    @Test func `each bad setting is one line that names key, value, expectation and default`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(
            host, directory: place.directory, worker: place.endpoint,
            more: #", "WindowMegabytes": "many", "Colour": "blue", "KeepDays": 0"#)
        _ = gateway
        let lines = host.warnings
        #expect(lines.count { $0.contains("WindowMegabytes") && $0.contains("“many”") && $0.contains("64") } == 1)
        #expect(lines.count { $0.contains("“Colour”") && $0.contains("“blue”") } == 1)
        #expect(lines.count { $0.contains("KeepDays") && $0.contains("“0”") && $0.contains("60") } == 1)
    }

    @Test(arguments: ["[]", "{", "7", "{\"Workers\": \"ipc:///x\"}", "{\"Workers\": [\"http://1.2.3.4:5\"]}"])
    func `settings that cannot be read leave every default`(_ text: String) throws {
        var reader = SettingsReader(text, knownNames: GatewaySettings.names, json: try JSON())
        let settings = GatewaySettings(&reader, defaultName: "n", defaultStateDirectory: "/d")
        #expect(settings.workers.map(\.endpoint) == ["ipc:///run/gantry/worker.ipc"])
        #expect(settings.windowBytes == 64 * 1_048_576)
        #expect(reader.complaints.count == 1)
    }

    static let targets: [(text: String, names: [String], complaints: Int)] = [
        ("[]", [], 0), (#"["b", "a", "b"]"#, ["a", "b"], 0), (#""pacs""#, [], 1), (#"["pacs", ""]"#, [], 1),
    ]

    @Test(arguments: targets)
    func `result targets are a list of names, each once`(_ text: String, _ names: [String], _ complaints: Int) throws {
        var reader = SettingsReader(
            "{\"ResultTargets\": \(text)}", knownNames: GatewaySettings.names, json: try JSON())
        let settings = GatewaySettings(&reader, defaultName: "n", defaultStateDirectory: "/d")
        #expect(settings.resultTargets == names)
        #expect(reader.complaints.count == complaints)
    }

    @Test func `a queue keeps its order when elements are put back`() {
        var queue = Queue<Int>()
        for number in 0..<5 { queue.append(number) }
        #expect(queue.popFirst() == 0)
        queue.append(5)
        queue.prepend(0)
        var order: [Int] = []
        while let next = queue.popFirst() { order.append(next) }
        #expect(order == [0, 1, 2, 3, 4, 5])
    }

    @Test func `the window never holds more than its limit`() {
        let window = Window()
        window.openToHook(bytes: 1_000)
        #expect(window.reserveInHook(bytes: 600))
        #expect(!window.reserveInHook(bytes: 600))
        #expect(window.reserveInHook(bytes: 400))
        window.release(bytes: 1_000)
        #expect(window.reservedBytes == 0)
        window.openToHook(bytes: 0)
        #expect(!window.reserveInHook(bytes: 1))
    }
}
