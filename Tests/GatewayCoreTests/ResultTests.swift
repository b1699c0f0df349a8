// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import Testing
import Wire

@testable import GatewayCore

@Suite final class ResultTests: Connected {
    func send(_ object: String, _ file: String) throws -> ToWorker? {
        try worker.say(.result(object: object, kind: "report", flag: "f", studyInstanceUID: "1.2.3"), payload: file)
        return try worker.next { if case .resultAck(object, _, _, _) = $0 { true } else { false } }?.message
    }

    func isAccepted(_ object: String, _ file: String) throws -> Bool {
        guard case .resultAck(object, true, "", _) = try send(object, file) else { return false }
        return true
    }

    @Test func `an object is acknowledged, stored once by the host, and named with its study`() throws {
        for _ in 0..<3 {
            #expect(try isAccepted("2.25.1", "file one"))
        }
        #expect(try isAccepted("2.25.2", "file two"))
        #expect(eventually { host.state.withLock { $0.stored } == [Array("file one".utf8), Array("file two".utf8)] })
        try worker.say(
            .flag(flag: "f", revision: 1, studyInstanceUID: "1.2.3"),
            payload: flagJSON(study: "1.2.3", urgency: "critical", probability: 0.9))
        #expect(
            eventually {
                let results = gateway.study("1.2.3").object["results"] as? [[String: Any]] ?? []
                return results.map { $0["state"] as? String } == ["stored", "stored"]
                    && results.first?["object"] as? String == "2.25.1"
                    && results.first?["flag"] as? String == "f"
            })
        #expect(gateway.number("results", "stored") == 2)
    }

    @Test func `the acknowledgement of a flag names the last report about it`() throws {
        func flagAck(_ revision: Int) throws -> String? {
            try worker.say(
                .flag(flag: "f", revision: revision, studyInstanceUID: "1.2.3"),
                payload: flagJSON(study: "1.2.3", urgency: "critical", probability: 0.9))
            let answer = try worker.next { if case .flagAck("f", revision, _, _, _) = $0 { true } else { false } }
            guard case .flagAck(_, _, _, let report, _)? = answer?.message else { return nil }
            return report
        }
        #expect(try flagAck(1) == "")
        #expect(try isAccepted("2.25.9", "first"))
        #expect(try flagAck(2) == "2.25.9")
        #expect(try isAccepted("2.25.1", "second"))
        #expect(try flagAck(3) == "2.25.1")
    }

    @Test func `what was acknowledged is in the receipts`() throws {
        guard case .resultAck(_, _, _, let receipt)? = try send("2.25.1", "file") else {
            Issue.record("no answer")
            return
        }
        let held = try eventually {
            try worker.listen()
            return worker.gatewayReceipts.holds(receipt)
        }
        #expect(held)
    }

    @Test func `an object that the host will never store is given up and counted`() throws {
        host.state.withLock { $0.storing = [Int32(GANTRY_BAD_ARGUMENT.rawValue)] }
        #expect(try send("2.25.1", "bad") != nil)
        #expect(try send("2.25.2", "good") != nil)
        #expect(eventually { host.state.withLock { $0.stored } == [Array("good".utf8)] })
        #expect(eventually { gateway.number("results", "refused") == 1 && gateway.number("results", "stored") == 1 })
    }

    @Test func `an object that the host cannot store now is stored later, also after a restart`() throws {
        host.state.withLock { $0.storing = [Int32](repeating: Int32(GANTRY_UNAVAILABLE.rawValue), count: 1) }
        #expect(try send("2.25.1", "later") != nil)
        #expect(eventually { host.state.withLock { $0.storing.isEmpty } })
        #expect(host.state.withLock { $0.stored.isEmpty })
        gateway.close()
        let again = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(eventually { host.state.withLock { $0.stored } == [Array("later".utf8)] })
        #expect(eventually { again.number("results", "stored") == 1 })
    }

    @Test func `an empty object is refused with a reason`() throws {
        guard case .resultAck(_, let accepted, let reason, _)? = try send("2.25.9", "") else {
            Issue.record("no answer")
            return
        }
        #expect(!accepted)
        #expect(reason.hasPrefix("bad-size"))
    }
}
