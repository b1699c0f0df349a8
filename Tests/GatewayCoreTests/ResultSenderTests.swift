// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import Testing
import Wire

@testable import GatewayCore

@Suite struct ResultSenderTests {
    let place: Place
    let host = ScriptedHost()
    let worker: ScriptedWorker

    init() throws {
        place = try Place()
        worker = try ScriptedWorker(place.endpoint)
    }

    func open(_ targets: String) throws -> OpenGateway {
        try OpenGateway(
            host, directory: place.directory, worker: place.endpoint, more: #", "ResultTargets": \#(targets)"#)
    }

    func give(_ object: String, to gateway: OpenGateway) throws {
        _ = try eventually {
            try worker.listen()
            return gateway.status.description.contains("scripted")
        }
        try worker.say(
            .result(object: object, kind: "report", flag: "f", studyInstanceUID: "1.2.3"), payload: "file \(object)")
        _ = try worker.next { if case .resultAck(object, _, _, _) = $0 { true } else { false } }
    }

    func target(_ name: String, of gateway: OpenGateway) -> [String: Any] {
        let targets = gateway.status["result_targets"] as? [[String: Any]] ?? []
        return targets.first { $0["target"] as? String == name } ?? [:]
    }

    @Test func `a stored result goes to every target once`() throws {
        let gateway = try open(#"["pacs", "reading"]"#)
        try give("2.25.1", to: gateway)
        try give("2.25.1", to: gateway)
        try give("2.25.2", to: gateway)
        #expect(
            eventually {
                target("pacs", of: gateway)["sent"] as? Int == 2
                    && target("reading", of: gateway)["sent"] as? Int == 2
            })
        #expect(
            host.state.withLock { $0.sent.sorted() } == [
                "pacs 2.25.1", "pacs 2.25.2", "reading 2.25.1", "reading 2.25.2",
            ])
    }

    @Test func `a target that cannot be reached is tried again after a restart and its reason is shown`() throws {
        host.state.withLock { $0.sending = [Int32(GANTRY_UNAVAILABLE.rawValue)] }
        let gateway = try open(#"["pacs"]"#)
        try give("2.25.1", to: gateway)
        #expect(
            eventually {
                let pacs = target("pacs", of: gateway)
                return pacs["due"] as? Int == 1 && pacs["failed_attempts"] as? Int == 1
                    && pacs["reason"] as? String == "the node said 7"
            })
        gateway.close()
        #expect(host.warnings.contains { $0.contains("cannot be sent to pacs: the node said 7") })
        let again = try open(#"["pacs"]"#)
        #expect(eventually { target("pacs", of: again)["sent"] as? Int == 1 })
        #expect(host.state.withLock { $0.sent } == ["pacs 2.25.1", "pacs 2.25.1"])
        #expect(host.state.withLock { $0.stored.count } == 1)
    }

    @Test func `an unknown target is one line and one attempt and does not hold up another`() throws {
        let unknown = Int32(GANTRY_BAD_ARGUMENT.rawValue)
        host.state.withLock { $0.sending = [unknown] }
        let gateway = try open(#"["a-nowhere", "pacs"]"#)
        try give("2.25.1", to: gateway)
        try give("2.25.2", to: gateway)
        #expect(eventually { target("pacs", of: gateway)["sent"] as? Int == 2 })
        #expect(target("a-nowhere", of: gateway)["due"] as? Int == 2)
        #expect(target("a-nowhere", of: gateway)["failed_attempts"] as? Int == 1)
        #expect(host.warnings.filter { $0.contains("a-nowhere") }.count == 1)
    }

    @Test func `an object that the host has no more is given up`() throws {
        host.state.withLock { $0.sending = [Int32(GANTRY_NOT_FOUND.rawValue)] }
        let gateway = try open(#"["pacs"]"#)
        try give("2.25.1", to: gateway)
        try give("2.25.2", to: gateway)
        #expect(
            eventually {
                let pacs = target("pacs", of: gateway)
                return pacs["failed"] as? Int == 1 && pacs["sent"] as? Int == 1
            })
    }

    @Test func `what waits for a target that was taken away is forgotten`() throws {
        host.state.withLock { $0.sending = [Int32(GANTRY_UNAVAILABLE.rawValue)] }
        let gateway = try open(#"["old"]"#)
        try give("2.25.1", to: gateway)
        #expect(eventually { target("old", of: gateway)["failed_attempts"] as? Int == 1 })
        gateway.close()
        let without = try open(#"["pacs"]"#)
        try give("2.25.2", to: without)
        #expect(eventually { target("pacs", of: without)["sent"] as? Int == 1 })
        without.close()
        let again = try open(#"["old"]"#)
        try give("2.25.3", to: again)
        #expect(eventually { target("old", of: again)["sent"] as? Int == 1 })
        #expect(host.state.withLock { $0.sent } == ["old 2.25.1", "pacs 2.25.2", "old 2.25.3"])
    }

    @Test func `a host that sends nothing is told that the setting has no effect`() throws {
        var callbacks = host.callbacks
        callbacks.send_instance = nil
        let gateway = try OpenGateway(
            host, callbacks, directory: place.directory, worker: place.endpoint, more: #", "ResultTargets": ["pacs"]"#)
        #expect(eventually { host.warnings.contains { $0.contains("ResultTargets has no effect") } })
        gateway.close()
    }
}
