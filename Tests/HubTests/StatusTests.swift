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

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite struct StatusTests {
    /// A federation with a closed and an open round, reports and refusals.
    func world() throws -> Federated {
        let world = try Federated { $0.roundLimit = 5 }
        let (store, now) = (world.store, world.clock.now)
        try store.recordPresence(["A": (now - 1000, try world.state()), "B": (now - 90_000, nil)])
        let first = try #require(
            try store.openRound(
                package: world.package.hash, cohort: ["A", "B"], settings: world.settings, atMilliseconds: now))
        for (site, value) in [("A", Float(2)), ("B", Float(4))] {
            let bytes = Safetensors.encode(TestPackage.delta(value))
            let complete = try store.appendToDelta(
                try store.beginDelta(
                    TestPackage.manifest(bytes, round: first.number, base: first.base.id), from: site,
                    atMilliseconds: now), bytes, atMilliseconds: now)
            #expect(try store.acceptDelta(complete, atMilliseconds: now) == nil)
        }
        _ = try store.beginAggregation(first.number)
        let version = try #require(
            try store.closeRound(
                first.number, parameters: Hash(of: Data("new".utf8)), parametersBytes: 3, atMilliseconds: now))
        _ = try store.recordReport(
            VersionReport(
                version: version.version.id, decision: .live, heldOutLabels: 12, candidateAUC: 0.9, liveAUC: 0.6),
            from: "A", atMilliseconds: now)
        let second = try #require(
            try store.openRound(
                package: world.package.hash, cohort: ["A", "B"], settings: world.settings, atMilliseconds: now))
        let bytes = Safetensors.encode(TestPackage.delta(1))
        _ = try store.appendToDelta(
            try store.beginDelta(
                TestPackage.manifest(bytes, round: second.number, base: second.base.id), from: "B", atMilliseconds: now),
            bytes.prefix(64), atMilliseconds: now)
        try store.refuse(site: "B", round: second.number, reason: "not-finite", atMilliseconds: now)
        return world
    }

    func server(_ world: Federated) -> StatusServer {
        let clock = world.clock
        return StatusServer(
            store: world.store, settings: world.settings, endpoint: "tcp://127.0.0.1:1",
            publicKey: world.hubKeys.publicKey, now: { clock.now })
    }

    @Test func `the status shows the open round, sites, versions, refusals and the chart`() throws {
        let world = try world()
        world.clock.advance(seconds: 100)
        let status = try server(world).status()
        let model = try #require(status.models.first)
        #expect(model.currentVersion == 1)
        #expect(model.roundsClosed == 1)
        #expect(model.waitingFor == nil)
        let round = try #require(model.rounds.first)
        #expect(round.state == "open")
        #expect(round.secondsLeft == 500)
        #expect(round.baseVersion == 1)
        #expect(round.sites.map(\.state) == ["waiting", "receiving"])
        #expect(round.sites[1].receivedBytes == 64)
        #expect(model.series.map(\.site) == ["A"])
        #expect(model.series.first?.points.map(\.version) == [0, 1])
        #expect(model.series.first?.points.map(\.auc) == [0.6, 0.9])
        #expect(status.sites.map(\.online) == [false, false])
        #expect(status.sites[0].packages.first?.liveVersion == 0)
        #expect(status.refusals.map(\.reason) == ["not-finite"])
        #expect(status.refusals.first?.lastAtMs == world.clock.now - 100_000)
        #expect(status.audit.first?.event == "refused")
    }

    @Test func `a hub without an open round says what it waits for`() throws {
        let world = try Federated()
        #expect(
            try server(world).status().models.first?.waitingFor
                == "0 of 2 sites are connected with at least 8 training labels")
    }

    @Test func `page, status, health and metrics are served with a strict policy`() async throws {
        let world = try world()
        var logger = Logger(label: "http")
        logger.logLevel = .critical
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let application = server(world).application(host: "127.0.0.1", port: 0, logger: logger) {
            continuation.yield($0)
        }
        let task = Task { try await application.run() }
        defer { task.cancel() }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        func get(_ path: String) async throws -> (Int, HTTPURLResponse, String) {
            let url = try #require(URL(string: "http://127.0.0.1:\(port)\(path)"))
            let (data, response) = try await URLSession.shared.data(from: url)
            let http = try #require(response as? HTTPURLResponse)
            return (http.statusCode, http, String(decoding: data, as: UTF8.self))
        }
        let (code, page, html) = try await get("/")
        #expect(code == 200)
        let policy = try #require(page.value(forHTTPHeaderField: "Content-Security-Policy"))
        #expect(policy.contains("default-src 'none'"))
        #expect(policy.contains("script-src 'sha256-"))
        #expect(!policy.contains("unsafe"))
        #expect(html.contains("<title>Gantry hub</title>"))
        #expect(
            !html.contains("http://")
                || html.components(separatedBy: "http://").dropFirst().allSatisfy {
                    $0.hasPrefix("www.w3.org/2000/svg")
                })
        #expect(!html.contains("https://"))

        let json = try #require(
            try JSONSerialization.jsonObject(with: Data(try await get("/api/status").2.utf8)) as? [String: Any])
        #expect(
            Set(json.keys) == ["version", "endpoint", "public_key", "now_ms", "models", "sites", "refusals", "audit"])
        let model = try #require((json["models"] as? [[String: Any]])?.first)
        #expect(model["current_version"] as? Int == 1)
        #expect(try await get("/health").2 == #"{"status":"ok"}"#)
        let metrics = try await get("/metrics").2
        #expect(metrics.contains(#"gantry_hub_model_version{model="test-model"} 1"#))
        #expect(metrics.contains(#"gantry_hub_refusals_total{site="B",reason="not-finite"} 1"#))
        #expect(metrics.contains(#"gantry_hub_site_auc{model="test-model",site="A"} 0.9"#))
        #expect(try await get("/nothing").0 == 404)
    }
}
