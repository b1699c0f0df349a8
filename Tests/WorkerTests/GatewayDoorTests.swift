// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Logging
import Testing
import Wire
import ZeroMQ

@testable import WorkerService

/// The worker's side of the link: known gateways only, each under its own name.
@Suite struct GatewayDoorTests {
    private let folder: TemporaryFolder
    private let keys: CurveKeyPair
    private let known: CurveKeyPair
    private let other: CurveKeyPair

    init() throws {
        folder = try TemporaryFolder()
        (keys, known, other) = (try .generate(), try .generate(), try .generate())
        try CurveKeyFile.write(keys, name: "worker", to: folder.url)
    }

    private func settings(_ endpoint: String = "tcp://127.0.0.1:*") -> WorkerSettings {
        var settings = WorkerSettings(state: folder.url.appending(path: "state", directoryHint: .isDirectory))
        settings.endpoint = endpoint
        settings.statusSeconds = 0.1
        if endpoint.hasPrefix("tcp://") {
            settings.key = folder.url.appending(path: "worker.key")
            settings.gateways = ["known": known.publicKey, "other": other.publicKey]
        }
        return settings
    }

    private func start(_ settings: WorkerSettings) throws -> Worker {
        try Worker(settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func greets(_ gateway: GatewayClient) -> Bool {
        gateway.received.contains { if case .hello = $0 { true } else { false } }
    }

    private func refused(_ gateway: GatewayClient) -> Int {
        (gateway.status["connections"] as? [String: Any])?["refused"] as? Int ?? 0
    }

    @Test func `A known gateway is answered, one with another key or none is not, and both are counted`() throws {
        let worker = try start(settings())
        defer { worker.stop() }
        let gateway = try GatewayClient(worker.endpoint, name: "known", keys: known, worker: keys.publicKey)
        try gateway.hello()
        try gateway.wait { greets(gateway) && !gateway.status.isEmpty }
        #expect(refused(gateway) == 0)
        let stranger = try GatewayClient(worker.endpoint, name: "known", keys: .generate(), worker: keys.publicKey)
        try stranger.hello()
        try gateway.wait { refused(gateway) >= 1 }
        let before = refused(gateway)
        let bare = try GatewayClient(worker.endpoint, name: "known")
        try bare.hello()
        try gateway.wait { refused(gateway) > before }
        #expect(throws: GatewayClient.TimedOut.self) { try stranger.wait(seconds: 0.3) { greets(stranger) } }
        #expect(throws: GatewayClient.TimedOut.self) { try bare.wait(seconds: 0.3) { greets(bare) } }
    }

    @Test func `A known key cannot speak as another gateway`() throws {
        let worker = try start(settings())
        defer { worker.stop() }
        let impostor = try GatewayClient(worker.endpoint, name: "other", keys: known, worker: keys.publicKey)
        try impostor.hello()
        try impostor.wait {
            impostor.received.contains { if case .error("not-your-name", _) = $0 { true } else { false } }
        }
        try impostor.instance(Data([1]))
        let gateway = try GatewayClient(worker.endpoint, name: "other", keys: other, worker: keys.publicKey)
        try gateway.hello()
        try gateway.wait { refused(gateway) >= 1 }
        #expect(!greets(impostor) && impostor.ack(1) == nil)
    }

    @Test func `Keys go with tcp, and tcp with keys`() throws {
        var without = settings()
        without.key = nil
        #expect(throws: SettingsError.self) { try without.check() }
        var nobody = settings()
        nobody.gateways = [:]
        #expect(throws: SettingsError.self) { try nobody.check() }
        var local = settings("ipc:///run/x/y.ipc")
        local.key = folder.url.appending(path: "worker.key")
        #expect(throws: SettingsError.self) { try local.check() }
    }

    @Test func `Two gateways with one key are refused at start`() throws {
        var settings = settings()
        settings.gateways["other"] = known.publicKey
        #expect {
            try start(settings)
        } throws: { "\($0)".contains("known and other have the same") }
    }

    @Test func `What is in the socket's place is left alone unless it is our own stale socket`() throws {
        let endpoint = "ipc://\(folder.url.path)/w/worker.ipc"
        let path = folder.url.appending(path: "w/worker.ipc").path
        try start(settings(endpoint)).stop()
        // Somebody listens.
        let left = try Socket(.router, in: Context())
        try left.bind("ipc://\(folder.url.path)/w/other.ipc")
        #expect(throws: GatewayLinkError.self) { try EndpointFile(path: folder.url.path + "/w/other.ipc").prepare() }
        // A socket that a killed worker left behind.
        unlink(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(descriptor)
        try start(settings(endpoint)).stop()
        try? FileManager.default.removeItem(atPath: path)
        try Data("mine".utf8).write(to: URL(filePath: path))
        #expect {
            try start(settings(endpoint))
        } throws: { "\($0)".contains("is not a socket") }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
    }

    @Test(arguments: [0o777, 0o1777, 0o775])
    func `A folder in which others can put a socket is refused`(mode: Int) throws {
        let open = folder.url.appending(path: "open")
        try FileManager.default.createDirectory(at: open, withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: open.path)
        #expect {
            try start(settings("ipc://\(open.path)/worker.ipc"))
        } throws: { "\($0)".contains("others can write") }
    }
}
