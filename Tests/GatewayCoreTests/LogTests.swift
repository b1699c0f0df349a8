// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import SQLite
import Testing

@testable import GatewayCore

@Suite struct LogTests {
    /// What the worker gets, acknowledged: waits for `count` instances, then shortly for more than that.
    func drain(_ worker: ScriptedWorker, expecting count: Int) throws -> [String] {
        var ids: [String] = []
        while let instance = try worker.nextInstance(within: ids.count < count ? 60 : 0.7) {
            ids.append(instance.id)
            try worker.acknowledge(instance)
        }
        return ids
    }

    @Test func `what the hook never told is found in the host's log, and what was acknowledged is not repeated`() throws
    {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint)
        var gateway: OpenGateway? = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(eventually { (gateway?.status["log"] as? [String: Any])?["log_read_at_ms"] != nil })
        for number in 0..<7 { #expect(host.store("told\(number)", [1], in: gateway) == 0) }
        #expect(try drain(worker, expecting: 7).sorted() == (0..<7).map { "told\($0)" })
        #expect(eventually { gateway?.number("outbox", "waiting") == 0 })
        gateway?.close()
        // As after a crash between storing and the hook's commit.
        for number in 0..<5 { _ = host.store("missed\(number)", [2]) }
        gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(try drain(worker, expecting: 5).sorted() == (0..<5).map { "missed\($0)" })
        #expect(gateway?.number("archive", "found_in_log") == 5)
    }

    @Test func `a new installation begins at the log's end, or at its beginning with Backfill`() throws {
        for (setting, expected) in [("", [String]()), (#", "Backfill": true"#, ["old1", "old2", "old3", "old4"])] {
            let place = try Place()
            let host = ScriptedHost()
            for number in 1...4 { _ = host.store("old\(number)", [1]) }
            let worker = try ScriptedWorker(place.endpoint)
            let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint, more: setting)
            #expect(
                try eventually {
                    try worker.listen(); return gateway.status.description.contains("scripted")
                })
            #expect(try drain(worker, expecting: expected.count).sorted() == expected)
        }
    }

    @Test func `a damaged database is set aside and a fresh one is filled from the host's log`() throws {
        let place = try Place()
        let host = ScriptedHost()
        _ = host.store("before-installation", [0])
        var gateway: OpenGateway? = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(eventually { (gateway?.status["log"] as? [String: Any])?["log_read_at_ms"] != nil })
        for number in 0..<4 { #expect(host.store("i\(number)", [1], in: gateway) == 0) }
        #expect(eventually { gateway?.number("outbox", "waiting") == 4 })
        gateway?.close()
        let file = place.directory.appendingPathComponent("gateway.sqlite")
        try Data(repeating: 0x55, count: 20_000).write(to: file)
        try? FileManager.default.removeItem(atPath: file.path + "-wal")

        gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        let worker = try ScriptedWorker(place.endpoint)
        #expect(try drain(worker, expecting: 4).sorted() == (0..<4).map { "i\($0)" })
        #expect(gateway?.number("database", "set_aside") == 1)
        #expect(host.warnings.contains { $0.contains("is damaged") })
        let names = try FileManager.default.contentsOfDirectory(atPath: place.directory.path)
        #expect(names.contains { $0.hasPrefix("gateway.sqlite.damaged-") })
    }

    @Test func `damage under a running gateway is noticed with the next change`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(eventually { (gateway.status["log"] as? [String: Any])?["log_read_at_ms"] != nil })
        for number in 0..<4 { #expect(host.store("i\(number)", [1], in: gateway) == 0) }
        #expect(eventually { gateway.number("outbox", "waiting") == 4 })
        let path = place.directory.path + "/gateway.sqlite"
        for suffix in ["", "-wal"] {
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path + suffix))
            try file.write(contentsOf: Data(repeating: 0x55, count: 20_000))
            try file.close()
        }
        #expect(host.store("i4", [1], in: gateway) == 0)
        #expect(eventually { gateway.number("database", "set_aside") == 1 })
        #expect(eventually { gateway.number("outbox", "waiting") == 5 })
    }

    @Test func `without a usable database instances go on being taken, and all is found when it can be used again`()
        throws
    {
        let place = try Place()
        let host = ScriptedHost()
        let blocked = place.directory.appendingPathComponent("state")
        try Data().write(to: blocked)
        let gateway = try OpenGateway(host, directory: blocked, worker: place.endpoint, more: #", "Backfill": true"#)
        for number in 0..<HandOver.capacity + 500 {
            let code = host.store("i\(number)", [1], in: gateway)
            #expect(code == Code.ok || code == Code.full)
        }
        #expect((gateway.status["database"] as? [String: Any])?["state"] as? String == "unusable")
        #expect(host.warnings.contains { $0.contains("cannot be used") })
        try FileManager.default.removeItem(at: blocked)
        #expect(eventually { gateway.number("outbox", "waiting") == HandOver.capacity + 500 })
        #expect(host.warnings.contains { $0.contains("can be used again") })
    }

    @Test func `a database of a newer Gantry is left alone`() throws {
        let place = try Place()
        let host = ScriptedHost()
        var gateway: OpenGateway? = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        gateway?.close()
        let path = place.directory.path + "/gateway.sqlite"
        do {
            let database = try Connection(path: path)
            try database.execute("PRAGMA user_version = 99")
        }
        gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(host.warnings.contains { $0.contains("schema 99") })
        #expect(host.store("a", [1], in: gateway) == 0)
        #expect(gateway?.number("database", "set_aside") == 0)
    }
}
