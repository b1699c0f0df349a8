// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing
import ZeroMQ

@testable import GatewayCore

/// The gateway's side of the link: it speaks with its worker and with nobody else.
@Suite struct LinkSecurityTests {
    private let place: Place
    private let host = ScriptedHost()
    private let worker: CurveKeyPair
    private let gateway: CurveKeyPair
    private let keyFile: String

    init() throws {
        place = try Place()
        worker = try .generate()
        gateway = try .generate()
        keyFile = place.directory.appendingPathComponent("gateway.key").path
        try "secret-key: \(gateway.secretKey)\n".write(toFile: keyFile, atomically: false, encoding: .utf8)
        chmod(keyFile, 0o600)
    }

    private func open(_ endpoint: String, _ more: String = "") throws -> OpenGateway {
        try OpenGateway(
            host, directory: place.directory.appendingPathComponent("state"), worker: endpoint, more: more)
    }

    private func open(_ endpoint: String, workerKey: String) throws -> OpenGateway {
        try open(endpoint, #", "WorkerKey": "\#(workerKey)", "KeyFile": "\#(keyFile)""#)
    }

    private func worker(of gateway: OpenGateway) -> [String: Any] {
        (gateway.status["workers"] as? [[String: Any]])?.first ?? [:]
    }

    private func refusal(of gateway: OpenGateway) -> String { worker(of: gateway)["refused"] as? String ?? "" }

    @Test func `tcp without keys is refused with one line that says what is missing`() throws {
        let listener = try ScriptedWorker("tcp://127.0.0.1:*")
        let gateway = try open(listener.endpoint)
        #expect(eventually { refusal(of: gateway).contains("WorkerKey") })
        #expect(host.store("a", [1], in: gateway) == 0)
        #expect(try listener.nextInstance(within: 0.5) == nil)
        #expect(eventually { worker(of: gateway)["refusals"] as? Int ?? 0 >= 2 })
        #expect(host.warnings.count { $0.contains("is refused") } == 1)
        #expect(gateway.number("outbox", "waiting") == 1)
    }

    @Test func `tcp with both keys carries instances`() throws {
        let listener = try ScriptedWorker("tcp://127.0.0.1:*", keys: worker, gateway: gateway.publicKey)
        let gateway = try open(listener.endpoint, workerKey: worker.publicKey)
        #expect(host.store("a", [7, 8], in: gateway) == 0)
        #expect(try listener.nextInstance()?.bytes == [7, 8])
        #expect(refusal(of: gateway).isEmpty)
    }

    @Test func `a listener with another key than the worker's hears nothing and is counted`() throws {
        let stranger = try CurveKeyPair.generate()
        let listener = try ScriptedWorker("tcp://127.0.0.1:*", keys: stranger, gateway: gateway.publicKey)
        let gateway = try open(listener.endpoint, workerKey: worker.publicKey)
        #expect(host.store("a", [7, 8], in: gateway) == 0)
        #expect(
            try eventually {
                try listener.listen(); return refusal(of: gateway).contains("did not prove")
            })
        #expect(try listener.nextInstance(within: 0.5) == nil)
        #expect(gateway.number("outbox", "waiting") == 1)
        #expect(worker(of: gateway)["connected"] as? Bool == false)
    }

    @Test func `a listener without CURVE at a tcp endpoint hears nothing`() throws {
        let listener = try ScriptedWorker("tcp://127.0.0.1:*")
        let gateway = try open(listener.endpoint, workerKey: worker.publicKey)
        #expect(host.store("a", [7, 8], in: gateway) == 0)
        #expect(eventually { refusal(of: gateway).contains("did not prove") })
        #expect(try listener.nextInstance(within: 0.5) == nil)
    }

    @Test func `a key file that others can read is refused, and taken when it is repaired`() throws {
        let listener = try ScriptedWorker("tcp://127.0.0.1:*", keys: worker, gateway: gateway.publicKey)
        chmod(keyFile, 0o644)
        let gateway = try open(listener.endpoint, workerKey: worker.publicKey)
        #expect(eventually { refusal(of: gateway).contains("chmod 600") })
        chmod(keyFile, 0o600)
        #expect(host.store("a", [5], in: gateway) == 0)
        #expect(try listener.nextInstance()?.bytes == [5])
        #expect(refusal(of: gateway).isEmpty)
    }

    @Test func `what is not a socket, and a link to one, are refused`() throws {
        let owners = SocketOwners(extra: "")
        let file = place.directory.appendingPathComponent("file").path
        #expect(owners.judge(file) == .absent)
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        #expect(owners.judge(file) == .refused("it is not a socket"))
        let socket = place.directory.appendingPathComponent("s").path
        let listener = try ScriptedWorker("ipc://\(socket)")
        #expect(owners.judge(socket) == .trusted)
        let link = place.directory.appendingPathComponent("link").path
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: socket)
        #expect(owners.judge(link) == .refused("it is not a socket"))
        _ = listener
    }

    @Test func `WorkerUser may be a name or a number, and one that does not exist is one log line`() throws {
        #expect(SocketOwners(extra: "").complaint == nil)
        #expect(SocketOwners(extra: "nobody").allows(65_534))
        #expect(SocketOwners(extra: "12345").allows(12_345))
        #expect(!SocketOwners(extra: "12345").allows(12_346))
        #expect(SocketOwners(extra: "no-such-user-here").complaint?.contains("no such user") == true)
    }

    /// Only root can give a file away.
    @Test(.enabled(if: geteuid() == 0))
    func `a socket of another user is refused unless the administrator names that user`() throws {
        let listener = try ScriptedWorker(place.endpoint)
        let path = String(place.endpoint.dropFirst("ipc://".count))
        #expect(chown(path, 65_534, 65_534) == 0)
        do {
            let gateway = try open(place.endpoint)
            #expect(host.store("a", [1], in: gateway) == 0)
            #expect(eventually { refusal(of: gateway).contains("belongs to user 65534") })
            #expect(try listener.nextInstance(within: 0.5) == nil)
            #expect(gateway.number("outbox", "waiting") == 1)
        }
        let gateway = try open(place.endpoint, #", "WorkerUser": "65534""#)
        #expect(try listener.nextInstance()?.id == "a")
        _ = gateway
    }
}
