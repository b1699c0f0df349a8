// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing
import Wire

@testable import GatewayCore

/// Several workers at one gateway.
@Suite struct SharingTests {
    private let place: Place
    private let host = ScriptedHost()

    init() throws { place = try Place() }

    private func endpoint(_ name: String) -> String { "ipc://\(place.directory.path)/\(name).ipc" }

    private func open(_ more: String = "") throws -> OpenGateway {
        try OpenGateway(
            host, directory: place.directory.appendingPathComponent("state"),
            worker: [endpoint("a"), endpoint("b")].joined(separator: "\", \""), more: more)
    }

    /// A thousand bytes of a study.
    private func instance(of study: String) -> [UInt8] {
        var data = DicomBytes()
        data.add(0x0008_0060, "CS", "CT")
        data.add(0x0020_000D, "UI", study)
        let file = DicomBytes.file(transferSyntax: DicomBytes.explicitLittle, data)
        return file + [UInt8](repeating: 0, count: 1_000 - file.count)
    }

    private func connected(_ gateway: OpenGateway) -> Int {
        let workers = gateway.status["workers"] as? [[String: Any]] ?? []
        return workers.count { $0["connected"] as? Bool == true && $0["credit_bytes"] as? Int ?? 0 > 0 }
    }

    private func wait(for count: Int, at gateway: OpenGateway, _ workers: ScriptedWorker...) throws {
        #expect(
            try eventually {
                for worker in workers { try worker.listen() }
                return connected(gateway) == count
            })
    }

    @Test func `a study stays with one worker, and a new one goes where most credit is free`() throws {
        let gateway = try open()
        let a = try ScriptedWorker(endpoint("a"), name: "a", credit: 4_000)
        let b = try ScriptedWorker(endpoint("b"), name: "b", credit: 4_500)
        try wait(for: 2, at: gateway, a, b)
        for number in 0..<3 { #expect(host.store("one-\(number)", instance(of: "1.1"), in: gateway) == 0) }
        for _ in 0..<3 { #expect(try b.nextInstance()?.id.hasPrefix("one") == true) }
        #expect(host.store("two", instance(of: "1.2"), in: gateway) == 0)
        #expect(try a.nextInstance()?.id == "two")
        #expect(host.store("one-3", instance(of: "1.1"), in: gateway) == 0)
        #expect(try b.nextInstance()?.id == "one-3")
        func inFlight() -> [Int] {
            (gateway.status["workers"] as? [[String: Any]] ?? []).compactMap { $0["in_flight_bytes"] as? Int }
        }
        #expect(eventually { inFlight() == [1_000, 4_000] })
    }

    @Test func `one worker without credit does not hold up the other`() throws {
        let gateway = try open()
        let a = try ScriptedWorker(endpoint("a"), name: "a", credit: 1_500)
        let b = try ScriptedWorker(endpoint("b"), name: "b", credit: 1_000)
        try wait(for: 2, at: gateway, a, b)
        for number in 0..<4 { #expect(host.store("one-\(number)", instance(of: "1.1"), in: gateway) == 0) }
        let first = try #require(try a.nextInstance())
        #expect(first.id == "one-0")
        #expect(host.store("two", instance(of: "1.2"), in: gateway) == 0)
        #expect(try b.nextInstance()?.id == "two")
        #expect(gateway.number("in_flight", "held_bytes") == 2_000, "what waits for a holds no memory")
        // What was held is read again when there is room.
        try a.acknowledge(first, study: "1.1")
        var rest: Set<String> = []
        while rest.count < 3, let next = try a.nextInstance() {
            rest.insert(next.id)
            try a.acknowledge(next, study: "1.1")
        }
        #expect(rest == ["one-1", "one-2", "one-3"])
    }

    @Test func `while a study's worker is away its instances wait for it`() throws {
        let gateway = try open(#", "FailOverSeconds": 3600"#)
        let book = ReceiptBook(state: "state-of-a")
        do {
            let a = try ScriptedWorker(endpoint("a"), name: "a", receipts: book)
            try wait(for: 1, at: gateway, a)
            #expect(host.store("first", instance(of: "1.1"), in: gateway) == 0)
            let first = try #require(try a.nextInstance())
            try a.acknowledge(first, study: "1.1")
            #expect(eventually { gateway.number("outbox", "waiting") == 0 })
        }
        let b = try ScriptedWorker(endpoint("b"), name: "b")
        try wait(for: 1, at: gateway, b)
        #expect(host.store("late", instance(of: "1.1"), in: gateway) == 0)
        #expect(host.store("other", instance(of: "1.2"), in: gateway) == 0)
        #expect(try b.nextInstance()?.id == "other")
        #expect(try b.nextInstance(within: 1.5) == nil)
        #expect(eventually { gateway.number("in_flight", "held_bytes") == 1_000 }, "what waits for a holds no memory")
        let a = try ScriptedWorker(
            endpoint("a"), name: "a", receipts: ReceiptBook(state: book.state, serial: 100))
        #expect(try a.nextInstance()?.id == "late")
    }

    @Test func `a worker that stays away loses its unfinished study, all of it, to another one`() throws {
        let gateway = try open(#", "FailOverSeconds": 0"#)
        do {
            let a = try ScriptedWorker(endpoint("a"), name: "a")
            try wait(for: 1, at: gateway, a)
            for number in 0..<3 { #expect(host.store("i\(number)", instance(of: "1.1"), in: gateway) == 0) }
            let first = try #require(try a.nextInstance())
            try a.acknowledge(first, study: "1.1")
            #expect(eventually { gateway.number("outbox", "waiting") == 2 })
        }
        let b = try ScriptedWorker(endpoint("b"), name: "b")
        var seen: Set<String> = []
        while seen.count < 3, let instance = try b.nextInstance() {
            seen.insert(instance.id)
            try b.acknowledge(instance, study: "1.1")
        }
        #expect(seen == ["i0", "i1", "i2"])
        #expect(eventually { gateway.number("outbox", "waiting") == 0 })
        // The first one comes back and says what it thinks of the part it has.
        let again = try ScriptedWorker(endpoint("a"), name: "a")
        try wait(for: 2, at: gateway, again, b)
        try b.say(
            .flag(flag: "f-1.1", revision: 1, studyInstanceUID: "1.1"),
            payload: flagJSON(study: "1.1", urgency: "critical", probability: 0.9))
        #expect(eventually { gateway.worklist.count == 1 })
        try again.say(
            .flag(flag: "f-1.1", revision: 7, studyInstanceUID: "1.1"),
            payload: flagJSON(study: "1.1", urgency: "none", probability: 0.1))
        #expect(try again.next { if case .flagAck = $0 { true } else { false } } != nil)
        #expect(gateway.worklist.first?["urgency"] as? String == "critical")
        #expect(gateway.number("archive", "foreign_flags") == 1)
    }

    @Test func `an instance that a connected worker does not acknowledge is sent again`() throws {
        let gateway = try open(#", "AcknowledgeSeconds": 1"#)
        let a = try ScriptedWorker(endpoint("a"), name: "a")
        try wait(for: 1, at: gateway, a)
        #expect(host.store("forgotten", instance(of: "1.1"), in: gateway) == 0)
        let first = try #require(try a.nextInstance())
        let again = try #require(try a.nextInstance())
        #expect(again.id == "forgotten" && again.sequence == first.sequence && again.bytes == first.bytes)
        #expect(host.warnings.contains { $0.contains("AcknowledgeSeconds") })
        try a.acknowledge(again, study: "1.1")
        #expect(
            try eventually {
                try a.listen()
                return gateway.number("outbox", "waiting") == 0 && gateway.number("in_flight", "held_bytes") == 0
            })
    }

    @Test func `two workers of one name are not both taken`() throws {
        let gateway = try open()
        let a = try ScriptedWorker(endpoint("a"), name: "same")
        try wait(for: 1, at: gateway, a)
        let b = try ScriptedWorker(endpoint("b"), name: "same")
        #expect(
            try eventually {
                try a.listen()
                try b.listen()
                return host.warnings.contains { $0.contains("same name, same") }
            })
        #expect(connected(gateway) == 1)
    }

    @Test func `a worker is given up after its time, and only while another one takes instances`() {
        var presence = WorkerPresence()
        func look(_ present: Set<String>, others: Bool, at now: Int64) -> [String] {
            presence.look(
                owners: ["a", "b"], present: present, others: others, failOverMilliseconds: 30_000, now: now)
        }
        #expect(look(["a", "b"], others: true, at: 0).isEmpty)
        #expect(look(["b"], others: true, at: 1_000).isEmpty && presence.away == ["a"])
        #expect(look(["b"], others: true, at: 30_999).isEmpty)
        #expect(look([], others: false, at: 31_000).isEmpty && presence.away == ["a", "b"])
        #expect(look(["b"], others: true, at: 31_001) == ["a"])
        presence.giveUp("a")
        #expect(look(["b"], others: true, at: 32_000).isEmpty && presence.away.isEmpty)
        #expect(look(["a", "b"], others: true, at: 33_000).isEmpty)
        #expect(look(["b"], others: true, at: 34_000).isEmpty && presence.away == ["a"], "its time begins anew")
    }
}
