// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import Testing
import Wire

@Suite struct HandOverTests {
    @Test func `an instance reaches the worker with its bytes and leaves the outbox when acknowledged`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint)
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(
            try eventually {
                try worker.listen(); return gateway.status.description.contains("scripted")
            })
        #expect(host.store("i1", [1, 2, 3], in: gateway) == 0)
        let instance = try #require(try worker.nextInstance())
        #expect(instance.id == "i1")
        #expect(instance.bytes == [1, 2, 3])
        #expect(gateway.number("outbox", "waiting") == 1)
        try worker.acknowledge(instance)
        #expect(eventually { gateway.number("outbox", "waiting") == 0 })
        #expect(gateway.number("outcomes", "scored") == 1)
        #expect(eventually { gateway.number("in_flight", "held_bytes") == 0 })
    }

    @Test(arguments: [nil, 65_536, 1 << 20]) func `an instance comes in the pieces that the worker takes`(
        _ pieceBytes: Int?
    ) throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint, capabilities: Capabilities(pieceBytes: pieceBytes))
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        let bytes = (0..<2_500_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
        #expect(host.store("large", bytes, in: gateway) == 0)
        let instance = try #require(try worker.nextInstance())
        #expect(instance.bytes == bytes)
        #expect(worker.lastPieces == pieceBytes.map { (2_500_000 + $0 - 1) / $0 } ?? 1)
        #expect(worker.gatewayCapabilities == .current)
        // What is read back, as the hook's bytes.
        let id = try #require(GatewayInstanceID("large"))
        try worker.say(.fetch(request: 7, instance: id))
        let fetched = try #require(try worker.next { if case .fetched = $0 { true } else { false } })
        #expect(fetched.message == .fetched(request: 7, instance: id, found: true) && fetched.payload == bytes)
        try worker.acknowledge(instance)
        #expect(eventually { gateway.number("in_flight", "held_bytes") == 0 })
    }

    @Test func `without a worker ids are kept, no bytes, and the backlog drains when it comes`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        for number in 0..<100 { #expect(host.store("i\(number)", [UInt8(number)], in: gateway) == 0) }
        #expect(eventually { gateway.number("outbox", "waiting") == 100 })
        #expect(gateway.number("hook", "with_bytes") == 0)
        #expect(gateway.number("in_flight", "held_bytes") == 0)
        let worker = try ScriptedWorker(place.endpoint)
        var seen: [String: [UInt8]] = [:]
        while seen.count < 100, let instance = try worker.nextInstance() {
            seen[instance.id] = instance.bytes
            try worker.acknowledge(instance)
        }
        #expect(seen == Dictionary(uniqueKeysWithValues: (0..<100).map { ("i\($0)", [UInt8($0)]) }))
        #expect(eventually { gateway.number("outbox", "waiting") == 0 })
    }

    @Test func `what was not acknowledged is sent again after a restart of the gateway`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint)
        var gateway: OpenGateway? = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        for name in ["a", "b"] { #expect(host.store(name, [9], in: gateway) == 0) }
        let first = try #require(try worker.nextInstance())
        let second = try #require(try worker.nextInstance())
        try worker.acknowledge(first)
        #expect(eventually { gateway?.number("outbox", "waiting") == 1 })
        gateway?.close()
        gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        let again = try #require(try worker.nextInstance())
        #expect(again.id == second.id)
        #expect(again.sequence == second.sequence)
    }

    @Test func `what was not acknowledged is sent again to the worker's next session`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(host.store("a", [9, 9], in: gateway) == 0)
        do {
            let worker = try ScriptedWorker(place.endpoint)
            #expect(try worker.nextInstance()?.id == "a")
        }
        let next = try ScriptedWorker(place.endpoint)
        let again = try #require(try next.nextInstance())
        #expect(again.id == "a")
        #expect(again.bytes == [9, 9])
        #expect(host.warnings.contains { $0.contains("is lost") })
    }

    @Test func `no more than the worker's credit is in flight`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint, credit: 250)
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        for number in 0..<10 { #expect(host.store("i\(number)", [UInt8](repeating: 1, count: 100), in: gateway) == 0) }
        let first = try #require(try worker.nextInstance())
        _ = try #require(try worker.nextInstance())
        #expect(try worker.nextInstance(within: 0.7) == nil)
        #expect(gateway.number("in_flight", "bytes") == 200)
        try worker.acknowledge(first)
        #expect(try worker.nextInstance() != nil)
        #expect(try worker.nextInstance(within: 0.3) == nil)
    }

    @Test func `the credit holds for what is sent, also when more than the window was read`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let mebibyte = 1 << 20
        let worker = try ScriptedWorker(place.endpoint, credit: Int64(3 * mebibyte))
        // As from the host's log, without sizes: room is guessed, and more than that is read.
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        for number in 0..<3 {
            _ = host.store("i\(number)", [UInt8](repeating: 1, count: 2 * mebibyte))
            #expect(gateway.stored("i\(number)", nil, size: 0) == 0)
        }
        let first = try #require(try worker.nextInstance())
        #expect(eventually { gateway.number("in_flight", "waiting_in_memory") == 2 })
        #expect(try worker.nextInstance(within: 0.5) == nil)
        try worker.acknowledge(first)
        #expect(try worker.nextInstance() != nil)
        #expect(try worker.nextInstance(within: 0.5) == nil)
    }

    @Test func `nothing is sent to a worker that grants no credit`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint, credit: 0)
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(host.store("a", [1], in: gateway) == 0)
        #expect(try worker.nextInstance(within: 0.7) == nil)
        worker.credit = 1_000
        #expect(try worker.nextInstance()?.id == "a")
    }

    @Test func `an instance larger than window and credit travels alone`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint, credit: 1_000)
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(host.store("large", [UInt8](repeating: 3, count: 5_000), in: gateway) == 0)
        #expect(host.store("small", [1], in: gateway) == 0)
        let first = try #require(try worker.nextInstance())
        #expect(try worker.nextInstance(within: 0.5) == nil)
        try worker.acknowledge(first)
        let second = try #require(try worker.nextInstance())
        #expect(Set([first.bytes.count, second.bytes.count]) == [5_000, 1])
    }

    @Test func `an instance larger than the administrator allows is settled and never handed over`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint)
        let gateway = try OpenGateway(
            host, directory: place.directory, worker: place.endpoint, more: #", "LargestInstanceMegabytes": 1"#)
        #expect(
            try eventually {
                try worker.listen(); return gateway.status.description.contains("scripted")
            })
        let large = [UInt8](repeating: 3, count: 1_048_577)
        #expect(host.store("large", large, in: gateway) == 0)
        #expect(host.store("large-in-log-only", large) == 0)
        #expect(gantry_reconcile(gateway.handle) == 0)
        #expect(host.store("small", [1], in: gateway) == 0)
        let handedOver = try #require(try worker.nextInstance())
        #expect(handedOver.id == "small")
        try worker.acknowledge(handedOver)
        #expect(eventually { gateway.number("outcomes", "too-large") == 2 })
        #expect(eventually { gateway.number("outbox", "waiting") == 0 })
        #expect(try worker.nextInstance(within: 0.3) == nil)
        #expect(gateway.number("in_flight", "held_bytes") == 0)
    }

    @Test func `an instance that the host no longer has is set aside with its reason`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(gateway.stored("gone", nil, size: 10) == 0)
        let worker = try ScriptedWorker(place.endpoint)
        #expect(
            try eventually {
                try worker.listen(); return gateway.number("outcomes", "set-aside") == 1
            })
        #expect(eventually { gateway.study("study-of-gone").code == 0 })
        let entries = gateway.study("study-of-gone").object["set_aside"] as? [[String: Any]]
        #expect((entries?.first?["reason"] as? String)?.hasPrefix("gone") == true)
    }

    @Test func `a worker may ask for an instance again`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint)
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        _ = host.store("kept", [4, 5])
        #expect(
            try eventually {
                try worker.listen(); return gateway.status.description.contains("scripted")
            })
        try worker.say(.fetch(request: 1, instance: GatewayInstanceID("kept")!))
        try worker.say(.fetch(request: 2, instance: GatewayInstanceID("lost")!))
        let kept = try worker.next { if case .fetched(1, _, true) = $0 { true } else { false } }
        #expect(kept?.payload == [4, 5])
        #expect(try worker.next { if case .fetched(2, _, false) = $0 { true } else { false } } != nil)
    }

    @Test func `messages that make no sense are answered and do no harm`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let worker = try ScriptedWorker(place.endpoint)
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(
            try eventually {
                try worker.listen(); return gateway.status.description.contains("scripted")
            })
        try worker.say(raw: [[0xff], []])
        try worker.say(raw: [Array("GANTRY9 ack".utf8), []])
        try worker.say(raw: [Array("GANTRY1 ack".utf8), Array("x".utf8), []])
        try worker.say(raw: [[UInt8](repeating: 1, count: 1_000_000), []])
        try worker.say(.flag(flag: "f", revision: 1, studyInstanceUID: "1.2"), payload: "not JSON")
        try worker.acknowledge((Int64.max, "nobody", []))
        #expect(try worker.next { if case .error("bad-flag", _) = $0 { true } else { false } } != nil)
        #expect(eventually { gateway.number("archive", "messages_not_understood") == 5 })
        #expect(host.store("after", [1], in: gateway) == 0)
        #expect(try worker.nextInstance()?.id == "after")
    }
}
