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

@Suite(.timeLimit(.minutes(2))) struct HubServiceTests {
    /// Polls until `condition` holds.
    func eventually(_ what: String, _ condition: () throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if try condition() { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("never happened: \(what)")
    }

    func delta(_ value: Float, _ config: RoundConfig, examples: Int = 10) -> (Data, DeltaManifest) {
        let bytes = Safetensors.encode(TestPackage.delta(value))
        return (bytes, TestPackage.manifest(bytes, round: config.round, base: config.base.id, examples: examples))
    }

    // MARK: The job

    @Test func `two sites contribute and a version with their weighted mean is published`() async throws {
        let world = try Federated { $0.largestShare = 1 }
        let hub = try await world.startHub()
        let (a, b) = (try world.client("A", hub), try world.client("B", hub))
        let config = try await world.openRound(a, b)
        #expect(config.base == world.package.version)
        #expect(config.minimumLabels == 8)
        for (client, value, examples) in [(a, Float(1), 15), (b, Float(5), 5)] {
            let (bytes, manifest) = delta(value, config, examples: examples)
            #expect(try await client.send(bytes, manifest) == .accepted(round: config.round))
        }
        try await eventually("a new version") { try world.store.models()[0].current.number == 1 }
        let model = try #require(try await a.hello(try world.state()).models.first)
        #expect(model.roundsClosed == 1)
        #expect(model.round == nil)
        #expect(model.version.package == world.package.hash)

        var parameters = Data()
        while parameters.count < model.parametersBytes {
            guard
                case .piece(_, let offset, let bytes) = try await a.ask(
                    .fetch(hash: model.version.parameters, offset: parameters.count, length: 64))
            else {
                Issue.record("no piece at \(parameters.count)")
                break
            }
            #expect(offset == parameters.count)
            parameters += bytes
        }
        #expect(Hash(of: parameters) == model.version.parameters)
        var expected = TestPackage.base
        try expected.addScaled(TestPackage.delta(2), by: 1)
        #expect(parameters == Safetensors.encode(expected))
        #expect(try world.store.round(config.round)?.contributions.count == 2)
        #expect(try world.store.verifyAudit().entries > 0)
        try await eventually("deltas are deleted") {
            try FileManager.default.contentsOfDirectory(atPath: world.store.deltas.directory.path).isEmpty
        }
        try await hub.stop()
    }

    @Test func `every file of the package can be fetched and nothing else`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let a = try world.client("A", hub)
        let model = try #require(try await a.hello(try world.state()).models.first)
        #expect(model.files.map(\.path).sorted() == world.package.files.map(\.path).sorted())
        for file in model.files {
            let answer = try await a.ask(.fetch(hash: file.hash, offset: 0, length: 1 << 20))
            guard case .piece(_, 0, let bytes) = answer else {
                Issue.record("\(file.path): \(answer)")
                continue
            }
            #expect(Hash(of: bytes) == file.hash)
            #expect(
                try await a.ask(.fetch(hash: file.hash, offset: file.bytes, length: 1))
                    == .piece(hash: file.hash, offset: file.bytes, bytes: Data()))
        }
        let stranger = try await a.ask(.fetch(hash: Hash(of: Data("other".utf8)), offset: 0, length: 1))
        guard case .error("unknown-file", _) = stranger else {
            Issue.record("\(stranger)")
            return
        }
        try await hub.stop()
    }

    @Test func `at the deadline a quorum is enough and a late delta is refused`() async throws {
        let world = try Federated(sites: ["A", "B", "C"])
        let hub = try await world.startHub()
        let (a, b, c) = (try world.client("A", hub), try world.client("B", hub), try world.client("C", hub))
        for client in [a, b, c] { _ = try await client.hello(try world.state()) }
        // Whoever is present when the round opens is asked; C may have come too late for that.
        let config = try await world.openRound(a, b)
        for client in [a, b] {
            let (bytes, manifest) = delta(1, config)
            #expect(try await client.send(bytes, manifest) == .accepted(round: config.round))
        }
        world.clock.advance(seconds: 601)
        try await eventually("the round closes") { try world.store.models()[0].current.number == 1 }
        let (bytes, manifest) = delta(2, config)
        let answer = try await c.send(bytes, manifest)
        #expect(
            [.refused(round: config.round, reason: .roundClosed), .refused(round: config.round, reason: .notInCohort)]
                .contains(answer))
        try await hub.stop()
    }

    @Test func `a round without enough contributions is extended and then void and the next one opens`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let (a, b) = (try world.client("A", hub), try world.client("B", hub))
        let config = try await world.openRound(a, b)
        let (bytes, manifest) = delta(1, config)
        #expect(try await a.send(bytes, manifest) == .accepted(round: config.round))
        world.clock.advance(seconds: 601)
        try await eventually("the round is extended") { try world.store.round(config.round)?.extensionsUsed == 1 }
        world.clock.advance(seconds: 601)
        try await eventually("the round is void") { try world.store.round(config.round)?.state == .void }
        world.clock.advance(seconds: 1)
        let next = try await world.openRound(a, b)
        #expect(next.round > config.round)
        #expect(next.base == config.base)
        try await hub.stop()
    }

    // MARK: Killed and back

    @Test func `a hub that was stopped in mid-upload goes on with the round and the bytes it has`() async throws {
        let world = try Federated()
        let first = try await world.startHub()
        let config: RoundConfig
        let (bytes, manifest): (Data, DeltaManifest)
        do {
            let (a, b) = (try world.client("A", first), try world.client("B", first))
            config = try await world.openRound(a, b)
            let (bytesOfB, manifestOfB) = delta(3, config)
            #expect(try await b.send(bytesOfB, manifestOfB) == .accepted(round: config.round))
            (bytes, manifest) = delta(1, config)
            #expect(try await a.ask(.offer(manifest)) == .resume(round: config.round, received: 0))
            let answer = try await a.ask(
                .chunk(round: config.round, hash: manifest.hash, offset: 0, bytes: bytes.prefix(50)))
            #expect(answer == .resume(round: config.round, received: 50))
        }
        try await first.stop()

        let again = try HubStore(directory: world.store.directory)
        let second = try await world.startHub(again)
        let (a, b) = (try world.client("A", second), try world.client("B", second))
        #expect(try await a.ask(.offer(manifest)) == .resume(round: config.round, received: 50))
        #expect(try await a.send(bytes, manifest) == .accepted(round: config.round))
        let (bytesOfB, manifestOfB) = delta(3, config)
        #expect(try await b.send(bytesOfB, manifestOfB) == .accepted(round: config.round))
        try await eventually("a new version") { try again.models()[0].current.number == 1 }
        let contributions = try #require(try again.round(config.round)?.contributions)
        #expect(contributions.keys.sorted() == ["A", "B"])
        try await second.stop()
    }

    @Test func `a hub that was killed while it aggregated does it again`() async throws {
        let world = try Federated()
        let first = try await world.startHub()
        let config = try await world.openRound(try world.client("A", first), try world.client("B", first))
        try await first.stop()
        // As a kill leaves it: contributions committed, the round in aggregation, no result.
        for (site, value) in [("A", Float(2)), ("B", Float(4))] {
            let (bytes, manifest) = delta(value, config)
            let complete = try world.store.appendToDelta(
                try world.store.beginDelta(manifest, from: site, atMilliseconds: 1), bytes, atMilliseconds: 1)
            #expect(try world.store.acceptDelta(complete, atMilliseconds: 1) == nil)
        }
        _ = try world.store.beginAggregation(config.round)
        let second = try await world.startHub()
        try await eventually("a new version") { try world.store.models()[0].current.number == 1 }
        let parameters = try Safetensors.read(
            world.store.blobs.file(try world.store.models()[0].current.version.parameters))
        #expect(parameters.tensors["head.bias"]?.values == [3.5, 2.5])
        try await second.stop()
    }

    // MARK: Hostile

    @Test func `every kind of bad delta is refused by name and counted and the hub goes on`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let (a, b) = (try world.client("A", hub), try world.client("B", hub))
        let config = try await world.openRound(a, b)
        let good = Safetensors.encode(TestPackage.delta(1))
        func manifest(_ bytes: Data, _ change: (inout DeltaManifest) -> Void = { _ in }) -> DeltaManifest {
            var manifest = TestPackage.manifest(bytes, round: config.round, base: config.base.id)
            change(&manifest)
            return manifest
        }
        var nan = TestPackage.delta(1)
        nan.tensors["head.bias"] = Tensor(shape: [2], values: [1, .nan])
        var infinite = TestPackage.delta(1)
        infinite.tensors["head.bias"] = Tensor(shape: [2], values: [1, -.infinity])
        var shape = TestPackage.delta(1)
        shape.tensors["head.bias"] = Tensor(shape: [1, 2], values: [1, 1])
        var name = TestPackage.delta(1)
        name.tensors["head.bias"] = nil
        name.tensors["evil.bias"] = Tensor(shape: [2], values: [1, 1])
        let half = Data(good.dropLast(4))
        let lie = withUnsafeBytes(of: UInt64(1 << 40).littleEndian) { Data($0) } + Data(count: 60)

        let cases: [(DeltaRefusal, Data, DeltaManifest)] = [
            (.notFinite, Safetensors.encode(nan), manifest(Safetensors.encode(nan))),
            (.notFinite, Safetensors.encode(infinite), manifest(Safetensors.encode(infinite))),
            (.wrongShape, Safetensors.encode(shape), manifest(Safetensors.encode(shape))),
            (.wrongShape, Safetensors.encode(name), manifest(Safetensors.encode(name))),
            (.malformed, half, manifest(half)), (.malformed, lie, manifest(lie)),
            (.malformed, Data("not a tensor file".utf8), manifest(Data("not a tensor file".utf8))),
            (.wrongHash, good, manifest(good) { $0.hash = Hash(of: Data("other".utf8)) }),
            (.wrongSize, good, manifest(good) { $0.bytes = 1 << 40 }),
            (.wrongSize, good, manifest(good) { $0.bytes = -1 }),
            (.unknownCodec, good, manifest(good) { $0.codec = "zip" }),
            (.badWeight, good, manifest(good) { $0.examples = 0 }),
            (.badWeight, good, manifest(good) { $0.examples = 1_000_001 }),
            (.badWeight, good, manifest(good) { $0.examples = 21 }),
            (.badWeight, good, manifest(good) { $0.examples = -10 }),
            (.wrongBase, good, manifest(good) { $0.base = Hash(of: Data("other".utf8)) }),
            (.unknownRound, good, manifest(good) { $0.round += 1 }),
        ]
        var expected: [String: Int] = [:]
        for (reason, bytes, manifest) in cases {
            let answer = try await a.send(bytes, manifest)
            #expect(answer == .refused(round: manifest.round, reason: reason), "\(reason)")
            expected[reason.rawValue, default: 0] += 1
        }
        // Longer than announced.
        let short = manifest(good) { $0.bytes = good.count - 8 }
        #expect(try await a.send(good, short, piece: good.count) == .refused(round: config.round, reason: .wrongSize))
        expected["wrong-size", default: 0] += 1

        #expect(try await a.send(good, manifest(good)) == .accepted(round: config.round))
        // The same one again is the same contribution; another one is not taken.
        #expect(try await a.send(good, manifest(good)) == .accepted(round: config.round))
        let other = Safetensors.encode(TestPackage.delta(2))
        #expect(try await a.send(other, manifest(other)) == .refused(round: config.round, reason: .repeatedRound))
        expected["repeated-round"] = 1
        #expect(try world.store.round(config.round)?.contributions.keys.sorted() == ["A"])
        #expect(try await b.send(other, manifest(other)) == .accepted(round: config.round))
        try await eventually("a new version") { try world.store.models()[0].current.number == 1 }
        let counted = try world.store.refusals().filter { $0.site == "A" }
        #expect(Dictionary(uniqueKeysWithValues: counted.map { ($0.reason, $0.count) }) == expected)
        try world.store.verifyAudit()
        try await hub.stop()
    }

    @Test func `a site that was not asked is refused`() async throws {
        let world = try Federated(sites: ["A", "B", "C"])
        let hub = try await world.startHub()
        let (a, b, c) = (try world.client("A", hub), try world.client("B", hub), try world.client("C", hub))
        #expect(try await c.hello(try world.state(labels: 3)).site == "C")
        let config = try await world.openRound(a, b)
        #expect(try await c.hello(try world.state()).models.first?.round == nil)
        let (bytes, manifest) = delta(1, config)
        #expect(try await c.send(bytes, manifest) == .refused(round: config.round, reason: .notInCohort))
        try await hub.stop()
    }

    @Test func `a chunk without an offer or at the wrong place changes nothing`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let (a, b) = (try world.client("A", hub), try world.client("B", hub))
        let config = try await world.openRound(a, b)
        let (bytes, manifest) = delta(1, config)
        func chunk(_ client: SiteClient, _ offset: Int, _ bytes: Data) async throws -> ToSite {
            try await client.ask(.chunk(round: config.round, hash: manifest.hash, offset: offset, bytes: bytes))
        }
        guard case .error("no-offer", _) = try await chunk(a, 0, bytes) else {
            Issue.record("a chunk without an offer was taken")
            return
        }
        #expect(try await a.ask(.offer(manifest)) == .resume(round: config.round, received: 0))
        guard case .error("no-offer", _) = try await chunk(b, 0, bytes) else {
            Issue.record("a chunk of another site's delta was taken")
            return
        }
        #expect(try await chunk(a, 10, bytes) == .resume(round: config.round, received: 0))
        #expect(try await chunk(a, 0, bytes.prefix(20)) == .resume(round: config.round, received: 20))
        #expect(try await chunk(a, 0, bytes.prefix(20)) == .resume(round: config.round, received: 20))
        #expect(try await chunk(a, 20, bytes.dropFirst(20)) == .accepted(round: config.round))
        #expect(try await chunk(a, 20, bytes.dropFirst(20)) == .accepted(round: config.round))
        try await hub.stop()
    }

    @Test func `a message that cannot be read is answered by name and counted`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let a = try world.client("A", hub)
        let answer = try await a.ask(parts: [Data("GANTRYFED1 dance".utf8), Data()])
        guard case .error("unknown-verb", _) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(try world.store.refusals().map(\.reason) == ["bad-message"])
        #expect(try await a.hello(try world.state()).site == "A")
        try await hub.stop()
    }

    @Test func `an unknown key gets nothing and is counted`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let stranger = try SiteClient(try CurveKeyPair.generate(), hub: hub)
        await #expect(throws: SiteClient.NoAnswer.self) {
            try await stranger.ask(parts: try ToHub.hello(try world.state()).parts(), deadline: .milliseconds(500))
        }
        try await eventually("the stranger is counted") {
            try world.store.refusals().contains { $0.site.isEmpty && $0.reason == "unknown-key" && $0.count > 0 }
        }
        #expect(try world.store.sites().allSatisfy { $0.lastSeenMilliseconds == nil })
        try await hub.stop()
    }

    @Test func `a site enrolled while the hub runs may connect`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let keys = try CurveKeyPair.generate()
        try HubStore(directory: world.store.directory).addSite(
            name: "late", publicKey: keys.publicKey, atMilliseconds: world.clock.now)
        #expect(try await SiteClient(keys, hub: hub).hello(try world.state()).site == "late")
        try await hub.stop()
    }

    @Test func `a revoked site is cut off, connected or not`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let a = try world.client("A", hub)
        _ = try await a.hello(try world.state())
        try world.store.revokeSite(name: "A", atMilliseconds: world.clock.now)
        guard case .error("revoked", _) = try await a.ask(.hello(try world.state())) else {
            Issue.record("a revoked site was served")
            return
        }
        let again = try world.client("A", hub)
        await #expect(throws: SiteClient.NoAnswer.self) {
            try await again.ask(parts: try ToHub.hello(try world.state()).parts(), deadline: .milliseconds(500))
        }
        try await hub.stop()
    }

    @Test func `a hub whose endpoint is taken says so`() async throws {
        let world = try Federated()
        let hub = try await world.startHub()
        let other = try Federated()
        var quiet = Logger(label: "hub")
        quiet.logLevel = .error
        let second = try Hub(
            configuration: HubConfiguration(endpoint: hub.endpoint), store: other.store, keys: other.hubKeys,
            logger: quiet)
        let error = await #expect(throws: ZeroMQError.self) { try await second.run() }
        #expect(error?.description.contains("bind \(hub.endpoint)") == true)
        try await hub.stop()
    }
}
