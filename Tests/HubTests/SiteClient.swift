// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import HubService
import HubStore
import Logging
import ModelPackage
import Rounds
import Tensors
import Testing
import ZeroMQ

/// A scripted site: one CURVE connection that asks and waits. Used by one task.
final class SiteClient {
    struct NoAnswer: Error {}

    private let socket: Socket

    init(_ keys: CurveKeyPair, hub: RunningHub) throws {
        socket = try Socket(.dealer, in: try Context())
        try socket.useCurve(serverKey: hub.keys.publicKey, keys: keys)
        try socket.connect(hub.endpoint)
    }

    /// The answer to raw frames.
    func ask(parts: [Data], deadline: Duration = .seconds(20)) async throws -> ToSite {
        _ = try socket.send(parts.frames)
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end {
            if let frames = try socket.receive() { return try ToSite(frames: frames) }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw NoAnswer()
    }

    func ask(_ message: ToHub) async throws -> ToSite { try await ask(parts: try message.parts()) }

    /// The hub's models as this site sees them.
    func hello(_ state: SiteState) async throws -> HubState {
        guard case .welcome(let hub) = try await ask(.hello(state)) else { throw NoAnswer() }
        return hub
    }

    /// Says hello until the hub invites the site to a round.
    func round(_ state: SiteState) async throws -> RoundConfig {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if let round = try await hello(state).models.first?.round { return round }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw NoAnswer()
    }

    /// Offers a delta and sends it in pieces until the hub has decided.
    func send(_ bytes: Data, _ manifest: DeltaManifest, piece: Int = 100) async throws -> ToSite {
        var answer = try await ask(.offer(manifest))
        while case .resume(_, let received) = answer {
            answer = try await ask(
                .chunk(
                    round: manifest.round, hash: manifest.hash, offset: received,
                    bytes: bytes.dropFirst(received).prefix(piece)))
        }
        return answer
    }
}

/// A real hub in this process: message thread, CURVE, store on disk.
final class RunningHub: Sendable {
    let store: HubStore
    let keys: CurveKeyPair
    let endpoint: String
    private let task: Task<Void, any Error>

    private init(store: HubStore, keys: CurveKeyPair, endpoint: String, task: Task<Void, any Error>) {
        self.store = store
        self.keys = keys
        self.endpoint = endpoint
        self.task = task
    }

    static func start(
        _ store: HubStore, keys: CurveKeyPair, settings: RoundSettings, clock: TestClock
    ) async throws -> RunningHub {
        var logger = Logger(label: "hub")
        logger.logLevel = .critical
        let hub = try Hub(
            configuration: HubConfiguration(endpoint: "tcp://127.0.0.1:*", settings: settings, tickMilliseconds: 5),
            store: store, keys: keys, now: { clock.now }, logger: logger)
        let task = Task { try await hub.run() }
        return RunningHub(store: store, keys: keys, endpoint: try await hub.awaitEndpoint(), task: task)
    }

    func stop() async throws {
        task.cancel()
        try await task.value
    }
}

/// A hub's world: two enrolled sites, one model, a clock.
final class Federated: Sendable {
    let folder: TemporaryFolder
    let store: HubStore
    let hubKeys: CurveKeyPair
    let siteKeys: [String: CurveKeyPair]
    let package: ModelPackage
    let clock = TestClock()
    let settings: RoundSettings

    init(
        sites: [String] = ["A", "B"], trains: TrainingDefaults.Trainable = .all,
        parameters: TensorMap = TestPackage.base,
        _ change: (inout RoundSettings) -> Void = { _ in }
    ) throws {
        folder = try TemporaryFolder()
        store = try HubStore.create(in: folder.url.appending(path: "state"))
        hubKeys = try CurveKeyPair.generate()
        var keys: [String: CurveKeyPair] = [:]
        for site in sites {
            keys[site] = try CurveKeyPair.generate()
            try store.addSite(name: site, publicKey: try #require(keys[site]).publicKey, atMilliseconds: clock.now)
        }
        siteKeys = keys
        package = try TestPackage.make(in: folder.url, parameters: parameters, trains: trains)
        try store.addModel(package, atMilliseconds: clock.now)
        var settings = RoundSettings()
        settings.pauseSeconds = 0
        settings.roundLimit = 1
        change(&settings)
        self.settings = settings
    }

    func startHub(_ store: HubStore? = nil) async throws -> RunningHub {
        try await RunningHub.start(store ?? self.store, keys: hubKeys, settings: settings, clock: clock)
    }

    func client(_ site: String, _ hub: RunningHub) throws -> SiteClient {
        try SiteClient(try #require(siteKeys[site]), hub: hub)
    }

    func state(labels: Int = 20) throws -> SiteState {
        SiteState(
            version: "0.1.0",
            packages: [
                .init(
                    package: package.hash, live: try #require(package.version).id, trainingLabels: labels,
                    newLabels: labels, heldOutLabels: 5)
            ])
    }

    /// Both sites say hello until the round is open for both.
    func openRound(_ clients: SiteClient...) async throws -> RoundConfig {
        for client in clients { _ = try await client.hello(try state()) }
        var config: RoundConfig?
        for client in clients { config = try await client.round(try state()) }
        return try #require(config)
    }
}
