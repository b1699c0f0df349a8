// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import HubService
import HubStore
import ModelPackage
import Rounds
import Tensors
import Testing
import ZeroMQ

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
        settings.intervalSeconds = 0
        // Most tests are about other things than the size of a delta, and theirs are easy to reckon with.
        settings.largestStep = 1e9
        settings.largestChange = 1e9
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
