// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import SQLite
import Testing
import Wire

@testable import GatewayCore

/// What one side lost, the other gives back. The worker is scripted: it loses what a test lets it lose.
@Suite struct DurabilityTests {
    let place: Place
    let host = ScriptedHost()

    init() throws { place = try Place() }

    func open() throws -> OpenGateway {
        try OpenGateway(host, directory: place.directory, worker: place.endpoint)
    }

    /// A gateway that knows where its installation begins in the host's log.
    func openAndReadLog() throws -> OpenGateway {
        let gateway = try open()
        #expect(eventually { (gateway.status["log"] as? [String: Any])?["log_read_at_ms"] != nil })
        return gateway
    }

    /// Stores instances, and lets the worker acknowledge each in a transaction of its own.
    func handOver(
        _ names: [String], of study: String, through gateway: OpenGateway, to worker: ScriptedWorker
    ) throws {
        for name in names {
            #expect(host.store(name, [1], in: gateway) == 0)
            try worker.acknowledge(try #require(try worker.nextInstance()), study: study)
        }
        #expect(eventually { gateway.number("outbox", "waiting") == 0 })
    }

    func flag(
        _ study: String, revision: Int, instances: Int, urgency: String = "none", state: String = "final",
        hasReport: Bool = false, by worker: ScriptedWorker
    ) throws -> (held: Int, receipt: Receipt) {
        let announced = hasReport ? #","has_report":true"# : ""
        let json = flagJSON(study: study, urgency: urgency, probability: 0.1, state: state)
            .replacingOccurrences(of: #""received":1"#, with: #""received":\#(instances)"#)
            .replacingOccurrences(of: #""state":"\#(state)""#, with: #""state":"\#(state)"\#(announced)"#)
        try worker.say(.flag(flag: "f-\(study)", revision: revision, studyInstanceUID: study), payload: json)
        let answer = try #require(
            try worker.next { if case .flagAck("f-\(study)", revision, _, _, _) = $0 { true } else { false } })
        guard case .flagAck(_, _, let held, _, let receipt) = answer.message else { throw CancellationError() }
        return (held, receipt)
    }

    /// The instances that a worker gets, without acknowledging them.
    func received(by worker: ScriptedWorker, expecting count: Int) throws -> Set<String> {
        var names: Set<String> = []
        while let instance = try worker.nextInstance(within: names.count < count ? 60 : 0.5) {
            names.insert(instance.id)
        }
        return names
    }

    @Test func `what a worker lost with its last commits is handed over again, and nothing else`() throws {
        let gateway = try open()
        var book: ReceiptBook
        do {
            let worker = try ScriptedWorker(place.endpoint)
            try handOver(["a", "b", "c", "d"], of: "1.2.3", through: gateway, to: worker)
            book = worker.receipts
        }
        book.serial -= 2
        book.jump()
        let worker = try ScriptedWorker(place.endpoint, receipts: book)
        #expect(try received(by: worker, expecting: 2) == ["c", "d"])
        #expect(gateway.number("archive", "given_back") == 2)
        #expect(host.warnings.contains { $0.contains("has lost") })
    }

    @Test func `a worker without its database gets what it had not finished, and only that`() throws {
        let gateway = try open()
        do {
            let worker = try ScriptedWorker(place.endpoint)
            try handOver(["a1", "a2"], of: "1.1", through: gateway, to: worker)
            _ = try flag("1.1", revision: 1, instances: 2, by: worker)
            try handOver(["b1", "b2"], of: "1.2", through: gateway, to: worker)
            _ = try flag("1.2", revision: 1, instances: 1, state: "preliminary", by: worker)
            // Final, and then an instance came late.
            try handOver(["c1"], of: "1.3", through: gateway, to: worker)
            _ = try flag("1.3", revision: 1, instances: 1, by: worker)
            try handOver(["c2"], of: "1.3", through: gateway, to: worker)
        }
        let worker = try ScriptedWorker(place.endpoint)
        #expect(try received(by: worker, expecting: 4) == ["b1", "b2", "c1", "c2"])
    }

    @Test func `a worker without its database gets a finished study again whose report or key image never came`() throws
    {
        let gateway = try open()
        do {
            let worker = try ScriptedWorker(place.endpoint)
            for (study, kinds) in [("1.1", []), ("1.2", ["report"]), ("1.3", ["report", "key-image"])] {
                try handOver(["i\(study)"], of: study, through: gateway, to: worker)
                _ = try flag(study, revision: 1, instances: 1, hasReport: true, by: worker)
                for kind in kinds {
                    let object = "2.25.\(study).\(kind.count)"
                    try worker.say(
                        .result(object: object, kind: kind, flag: "f-\(study)", studyInstanceUID: study),
                        payload: "file")
                    let answer = try worker.next { if case .resultAck(object, true, _, _) = $0 { true } else { false } }
                    #expect(answer != nil)
                }
            }
        }
        let worker = try ScriptedWorker(place.endpoint)
        #expect(try received(by: worker, expecting: 2) == ["i1.1", "i1.2"])
    }

    @Test func `who acknowledges an instance of another worker's study gets all of it`() throws {
        let gateway = try open()
        do {
            let worker = try ScriptedWorker(place.endpoint)
            try handOver(["a", "b"], of: "1.2.3", through: gateway, to: worker)
            _ = try flag("1.2.3", revision: 1, instances: 2, by: worker)
        }
        let worker = try ScriptedWorker(place.endpoint)
        #expect(host.store("late", [1], in: gateway) == 0)
        let late = try #require(try worker.nextInstance())
        #expect(late.id == "late")
        try worker.acknowledge(late)
        #expect(try received(by: worker, expecting: 2) == ["a", "b"])
    }

    @Test func `an acknowledgement by the number of another instance settles nothing`() throws {
        let gateway = try open()
        let worker = try ScriptedWorker(place.endpoint)
        #expect(host.store("a", [1], in: gateway) == 0)
        let instance = try #require(try worker.nextInstance())
        try worker.acknowledge((instance.sequence, "other", []))
        #expect(eventually { gateway.number("archive", "messages_not_understood") == 1 })
        #expect(gateway.number("outbox", "waiting") == 1)
        try worker.acknowledge(instance)
        #expect(eventually { gateway.number("outbox", "waiting") == 0 })
    }

    @Test func `a gateway says in each hello which flags it still knows`() throws {
        var receipt = Receipt(state: "", serial: 0)
        let worker = try ScriptedWorker(place.endpoint)
        do {
            let gateway = try open()
            try handOver(["a"], of: "1.2.3", through: gateway, to: worker)
            receipt = try flag("1.2.3", revision: 1, instances: 1, by: worker).receipt
            gateway.close()
        }
        let before = worker.gatewayReceipts
        let gateway = try open()
        #expect(
            try eventually {
                try worker.listen(); return worker.gatewayReceipts.voids.count > before.voids.count
            })
        #expect(worker.gatewayReceipts.holds(receipt))
        #expect(!worker.gatewayReceipts.holds(Receipt(state: receipt.state, serial: receipt.serial + 1)))
        gateway.close()
        try FileManager.default.removeItem(at: place.directory.appendingPathComponent("gateway.sqlite"))
        let fresh = try open()
        #expect(
            try eventually {
                try worker.listen(); return worker.gatewayReceipts.state != receipt.state
            })
        fresh.close()
    }

    @Test func `a worker that lost its numbers is told which revision is shown`() throws {
        let gateway = try open()
        let worker = try ScriptedWorker(place.endpoint)
        try handOver(["a"], of: "1.2.3", through: gateway, to: worker)
        #expect(try flag("1.2.3", revision: 3, instances: 1, by: worker).held == 3)
        #expect(try flag("1.2.3", revision: 1, instances: 1, urgency: "critical", by: worker).held == 3)
        #expect(gateway.worklist.first?["urgency"] as? String == "none")
        // The same number with other words: the newest word of the owner.
        #expect(try flag("1.2.3", revision: 3, instances: 1, urgency: "critical", by: worker).held == 3)
        #expect(gateway.worklist.first?["urgency"] as? String == "critical")
        #expect(eventually { host.state.withLock { $0.flags.last?.hasSuffix("critical") } == true })
    }

    @Test func `a review of a study that the worker lost brings the study back and is sent again`() throws {
        let gateway = try open()
        do {
            let worker = try ScriptedWorker(place.endpoint)
            try handOver(["a", "b"], of: "1.2.3", through: gateway, to: worker)
            _ = try flag("1.2.3", revision: 1, instances: 2, by: worker)
        }
        let worker = try ScriptedWorker(place.endpoint)
        let answer = gateway.review("1.2.3", #"{"finding":"haemorrhage","verdict":"agree","reviewer":"Dr A"}"#)
        let id = try #require(answer.object["review"] as? String)
        #expect(try worker.next { $0 == .review(id: id) } != nil)
        let reason = ToGateway.unknownStudy + ": no such study"
        try worker.say(.reviewAck(review: id, accepted: false, reason: reason, receipt: worker.nextReceipt()))
        for _ in 0..<2 { try worker.acknowledge(try #require(try worker.nextInstance())) }
        #expect(gateway.number("reviews", "pending") == 1)
        #expect(try worker.next { $0 == .review(id: id) } != nil)
        // It has the study now; when it still says no, that is its last word.
        try worker.say(.reviewAck(review: id, accepted: false, reason: reason, receipt: worker.nextReceipt()))
        #expect(eventually { gateway.number("reviews", "refused") == 1 })
    }

    @Test func `a label that the worker lost is told again`() throws {
        let gateway = try open()
        var book: ReceiptBook
        var id = ""
        do {
            let worker = try ScriptedWorker(place.endpoint)
            try handOver(["a"], of: "1.2.3", through: gateway, to: worker)
            _ = try flag("1.2.3", revision: 1, instances: 1, by: worker)
            let answer = gateway.review("1.2.3", #"{"finding":"haemorrhage","verdict":"agree","reviewer":"Dr A"}"#)
            id = try #require(answer.object["review"] as? String)
            try worker.say(.reviewAck(review: id, accepted: true, reason: "", receipt: worker.nextReceipt()))
            #expect(eventually { gateway.number("reviews", "accepted") == 1 })
            book = worker.receipts
        }
        book.serial -= 1
        book.jump()
        let worker = try ScriptedWorker(place.endpoint, receipts: book)
        #expect(try worker.next { $0 == .review(id: id) } != nil)
    }

    @Test func `a first start that ended before it had read the log is followed by one that reads all of it`() throws {
        host.state.withLock { $0.refuseLog = true }
        _ = host.store("before", [1])
        let first = try open()
        first.close()
        _ = host.store("meanwhile", [1])
        host.state.withLock { $0.refuseLog = false }
        let gateway = try open()
        #expect(eventually { gateway.number("archive", "found_in_log") == 2 })
        gateway.close()
    }

    @Test func `a database whose log lost its end after it was copied into the file is set aside`() throws {
        let file = place.directory.appendingPathComponent("gateway.sqlite")
        let log = URL(fileURLWithPath: file.path + "-wal")
        let kept = place.directory.appendingPathComponent("kept-wal")
        do {
            let gateway = try openAndReadLog()
            #expect(host.store("a", [1], in: gateway) == 0)
            #expect(eventually { gateway.number("outbox", "waiting") == 1 })
            try FileManager.default.copyItem(at: log, to: kept)
            #expect(host.store("b", [1], in: gateway) == 0)
            #expect(eventually { gateway.number("outbox", "waiting") == 2 })
            gateway.close()
        }
        // Closing copied everything into the file; now the log is as a cut in its middle would leave it.
        try FileManager.default.moveItem(at: kept, to: log)
        let gateway = try open()
        #expect(gateway.number("database", "set_aside") == 1)
        let last = (gateway.status["database"] as? [String: Any])?["last_set_aside"] as? [String: Any]
        #expect((last?["reason"] as? String)?.contains("write-ahead log") == true)
        #expect(eventually { gateway.number("outbox", "waiting") == 2 })
    }

    @Test func `a damaged page that nobody needs is found by looking at every page`() throws {
        let file = place.directory.appendingPathComponent("gateway.sqlite")
        do {
            let gateway = try openAndReadLog()
            for number in 0..<400 { #expect(host.store("instance-\(number)", [1], in: gateway) == 0) }
            #expect(eventually { gateway.number("outbox", "waiting") == 400 })
            gateway.close()
        }
        let size = try #require(
            try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int)
        let handle = try FileHandle(forWritingTo: file)
        // The last pages hold instances in the middle of the outbox.
        try handle.seek(toOffset: UInt64(size - 3 * 4096))
        try handle.write(contentsOf: Data((0..<3 * 4096).map { UInt8(truncatingIfNeeded: $0 &* 131) }))
        try handle.close()
        let gateway = try open()
        #expect(eventually { gateway.number("database", "set_aside") == 1 })
        #expect(eventually { gateway.number("outbox", "waiting") == 400 })
    }
}
