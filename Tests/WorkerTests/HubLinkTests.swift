// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Logging
import ModelPackage
import Phantoms
import Tensors
import Testing
import Torch
import Triage
import WorkerStore
import ZeroMQ

@testable import WorkerService

/// A whole worker against a hub: model, labels, round, delta, new version.
@Suite(.serialized) struct HubLinkTests {
    private let folder: TemporaryFolder
    private let package: ModelPackage
    private let hub: HubStand

    init() throws {
        folder = try TemporaryFolder()
        package = try PackageWriter.write(
            manifest: ModelTask.headCTHaemorrhage.manifest, seed: 1, to: folder.url.appending(path: "package"))
        let version = try #require(package.version)
        let parameters = try Data(contentsOf: package.parametersFile)
        hub = try HubStand(
            HubState(
                site: "site",
                models: [
                    HubState.Model(
                        name: package.manifest.name, version: version,
                        files: package.files.map { .init(path: $0.path, hash: $0.hash, bytes: $0.bytes) },
                        parametersBytes: parameters.count, roundsClosed: 0, round: nil)
                ]))
        for file in package.files {
            let data = try Data(contentsOf: package.directory.appending(path: file.path))
            hub.state.withLock { $0.files[file.hash] = data }
        }
    }

    private var state: URL { folder.url.appending(path: "state", directoryHint: .isDirectory) }
    private var transcript: URL { folder.url.appending(path: "sent.log") }

    /// - Parameter approving: does what an administrator does once the hub's package waits.
    private func start(approving: Bool = true, reserveMegabytes: Int? = 0) throws -> (Worker, GatewayClient) {
        let key = folder.url.appending(path: "keys/site.key")
        if !FileManager.default.fileExists(atPath: key.path) {
            try CurveKeyFile.write(try .generate(), name: "site", to: key.deletingLastPathComponent())
        }
        var settings = WorkerSettings(state: state)
        settings.endpoint = "ipc://\(folder.url.path)/worker.ipc"
        settings.quietSeconds = 0.2
        settings.statusSeconds = 0.2
        settings.heldOutShare = 0
        settings.threads = 1
        settings.hub = hub.endpoint
        settings.hubKey = hub.keys.publicKey
        settings.siteKey = key
        settings.hubSeconds = 0.1
        settings.transcript = transcript
        settings.diskReserveMegabytes = reserveMegabytes
        let worker = try Worker(settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let gateway = try GatewayClient(worker.endpoint)
        try gateway.hello()
        if approving, try packageState() != .active {
            try gateway.wait { try self.packageState() == .waiting }
            try approve()
        }
        return (worker, gateway)
    }

    /// As another process would.
    private func packageState() throws -> PackageRow.State? {
        try WorkerStore(directory: state, create: false).read { try $0.package(package.hash)?.state }
    }

    private func approve() throws {
        _ = try WorkerStore(directory: state, create: false).write {
            try $0.approve(package.manifest.name, replacing: false, by: "admin")
        }
    }

    private func openRound(_ number: Int) throws {
        let base = try #require(package.version)
        hub.state.withLock {
            $0.hub.models[0].round = RoundConfig(
                round: number, base: base, secondsLeft: 100, minimumLabels: 2, epochs: 1, batchStudies: 2,
                optimiser: .adam, learningRate: 1e-3, weightDecay: 0, momentum: 0, seed: 1)
        }
    }

    /// Sends labelled studies; gives them.
    @discardableResult
    private func teach(_ gateway: GatewayClient, count: Int = 4) throws -> [PhantomStudy] {
        let studies = try (0..<count).map {
            try PhantomStudy.headCT(seed: 3, index: $0, look: .b, isPositive: $0 % 2 == 0, slices: 4, matrix: 64)
        }
        try gateway.wait { (gateway.lastCredit ?? 0) > 0 }
        for study in studies {
            for index in 0..<study.instances { try gateway.instance(try study.instance(index)) }
        }
        try gateway.wait { studies.allSatisfy { gateway.finalFlag($0.studyInstanceUID) != nil } }
        for study in studies {
            let flag = try #require(gateway.finalFlag(study.studyInstanceUID))
            try gateway.review("review-\(study.studyInstanceUID)", flag: flag, present: study.truth.isPresent)
        }
        return studies
    }

    @Test func `The hub's model waits for approval, is fetched then, goes live and is reported`() throws {
        let (worker, gateway) = try start(approving: false)
        defer {
            worker.stop()
            hub.stop()
        }
        try gateway.wait { try self.packageState() == .waiting }
        let model = try #require(package.files.first { $0.path == ModelPackage.modelPath })
        #expect(
            !hub.state.withLock { $0.heard.range(of: Data(model.hash.hex.utf8)) != nil }, "nothing but its manifest")
        #expect(gateway.lastCredit == 0)
        try approve()
        try gateway.wait { (gateway.lastCredit ?? 0) > 0 && !hub.state.withLock { $0.reports.isEmpty } }
        let report = try #require(hub.state.withLock { $0.reports.first })
        #expect(report.decision == .live && report.version == package.version?.id)
        try gateway.wait { hub.state.withLock { $0.sites.last?.packages.first?.live } == package.version?.id }
    }

    @Test func `Files that are not what their hash says are not installed`() throws {
        let bad = try #require(package.files.first { $0.path == ModelPackage.modelPath })
        let good = try #require(
            hub.state.withLock { state in
                defer { state.files[bad.hash]?[100] ^= 1 }
                return state.files[bad.hash]
            })
        let (worker, gateway) = try start()
        defer {
            worker.stop()
            hub.stop()
        }
        try gateway.wait {
            ((gateway.status["federation"] as? [String: Any])?["problem"] as? String)?.contains("its hash") == true
        }
        #expect(gateway.lastCredit == 0)
        // And it heals when the hub does.
        hub.state.withLock { $0.files[bad.hash] = good }
        try gateway.wait { (gateway.lastCredit ?? 0) > 0 }
    }

    @Test func `A delta is trained, survives a silent hub and a restart, and arrives whole, once`() throws {
        try openRound(1)
        hub.state.withLock { $0.silences = ["chunk": 1000] }
        do {
            let (worker, gateway) = try start()
            try teach(gateway)
            try gateway.wait(seconds: 120) { !hub.state.withLock { $0.offers.isEmpty } }
            worker.stop()
        }
        let offered = try #require(hub.state.withLock { $0.offers.first })
        #expect(offered.examples == 4 && offered.codec == "f32" && offered.base == package.version?.id)
        hub.state.withLock { $0.silences = [:] }
        let (worker, gateway) = try start()
        defer {
            worker.stop()
            hub.stop()
        }
        try gateway.wait(seconds: 60) { hub.state.withLock { $0.delta.count } == offered.bytes }
        try gateway.wait { try self.deltaState(1) == .accepted }
        let delta = hub.state.withLock { $0.delta }
        #expect(Hash(of: delta) == offered.hash)
        let map = try Safetensors.decode(delta)
        #expect(map.norm > 0 && map.firstNonFinite == nil)
        // The round is still open at this hub; the site does not train for it again.
        #expect(Set(hub.state.withLock { $0.offers.map(\.hash) }) == [offered.hash])
    }

    @Test
    func `Nothing that names a patient, study or instance is in what the hub hears, and the transcript has all of it`()
        throws
    {
        try openRound(1)
        let (worker, gateway) = try start()
        let studies = try teach(gateway)
        try gateway.wait(seconds: 120) { try self.deltaState(1) == .accepted }
        worker.stop()
        hub.stop()
        let heard = hub.state.withLock { $0.heard }
        let written = try Data(contentsOf: transcript)
        #expect(written.count > heard.count && heard.count > 100_000)
        for study in studies {
            for secret in [study.studyInstanceUID, study.patientID, study.patientName, study.accessionNumber] {
                #expect(!secret.isEmpty)
                #expect(heard.range(of: Data(secret.utf8)) == nil)
                #expect(written.range(of: Data(secret.utf8)) == nil)
            }
        }
        // Every byte of the delta is in the transcript.
        let delta = hub.state.withLock { $0.delta }
        #expect(written.range(of: delta.prefix(400 << 10)) != nil)
    }

    @Test func `A delta that the hub refuses is not sent again and the reason is kept`() throws {
        try openRound(1)
        hub.state.withLock { $0.refusal = .roundClosed }
        let (worker, gateway) = try start()
        defer {
            worker.stop()
            hub.stop()
        }
        try teach(gateway)
        try gateway.wait(seconds: 120) { try self.deltaState(1) == .refused }
        let store = try WorkerStore(directory: state)
        #expect(try store.read { try $0.delta(package: package.hash.hex, round: 1)?.reason } == "round-closed")
        #expect(hub.state.withLock { $0.offers.count } == 1)
    }

    @Test func `A new version waits while there are no held-out labels and the old one stays live`() throws {
        let (worker, gateway) = try start()
        defer {
            worker.stop()
            hub.stop()
        }
        try gateway.wait { (gateway.lastCredit ?? 0) > 0 }
        var parameters = try Safetensors.read(package.parametersFile)
        let name = try #require(parameters.names.first)
        parameters.tensors[name]?.values[0] += 0.5
        let data = Safetensors.encode(parameters)
        let next = ModelVersion(package: package.hash, parameters: Hash(of: data))
        hub.state.withLock {
            $0.files[next.parameters] = data
            $0.hub.models[0].version = next
            $0.hub.models[0].roundsClosed = 1
        }
        try gateway.wait { hub.state.withLock { $0.reports.contains { $0.version == next.id } } }
        #expect(hub.state.withLock { $0.reports.last?.decision } == .waiting)
        func live() -> [String: Any]? { (gateway.status["live"] as? [[String: Any]])?.first }
        try gateway.wait { (live()?["guard"] as? [String: Any])?["decision"] as? String == "waiting" }
        #expect(live()?["version"] as? String == package.version?.id.hex)
    }

    @Test func `A version that says the same about everything does not go live, and another one can be approved`()
        throws
    {
        var parameters = try Safetensors.read(package.parametersFile)
        let bias = try #require(try TorchModel(package: package).declaredNames.last)
        parameters.tensors[bias]?.values[0] = -30
        let data = Safetensors.encode(parameters)
        let bad = ModelVersion(package: package.hash, parameters: Hash(of: data))
        hub.state.withLock {
            $0.files[bad.parameters] = data
            $0.hub.models[0].version = bad
        }
        let (worker, gateway) = try start()
        defer {
            worker.stop()
            hub.stop()
        }
        let store = try WorkerStore(directory: state, create: false)
        try gateway.wait { try store.read { try $0.offer(package.hash)?.problem.contains("the same") } == true }
        #expect(try packageState() == .waiting && gateway.lastCredit == 0)
        let good = try #require(package.version)
        hub.state.withLock { $0.hub.models[0].version = good }
        try gateway.wait { try store.read { try $0.offer(package.hash)?.version } == good }
        try approve()
        try gateway.wait { (gateway.lastCredit ?? 0) > 0 }
    }

    @Test func `A round that asks for more than the site allows is declined by name`() throws {
        try openRound(1)
        hub.state.withLock { $0.hub.models[0].round?.epochs = 101 }
        let (worker, gateway) = try start()
        defer {
            worker.stop()
            hub.stop()
        }
        func declined() -> [[String: Any]] {
            (gateway.status["federation"] as? [String: Any])?["declined"] as? [[String: Any]] ?? []
        }
        try gateway.wait { declined().first?["reason"] as? String == "epochs" }
        hub.state.withLock { $0.hub.models[0].round?.epochs = 1 }
        try gateway.wait { declined().isEmpty }
    }

    @Test func `A package that would touch the disk's reserve is not fetched, and says so`() throws {
        let (worker, gateway) = try start(approving: false, reserveMegabytes: 1 << 29)
        defer {
            worker.stop()
            hub.stop()
        }
        try gateway.wait {
            ((gateway.status["federation"] as? [String: Any])?["problem"] as? String)?.contains("disk_reserve") == true
        }
        let parts = try FileManager.default.contentsOfDirectory(atPath: state.appending(path: "incoming").path)
        #expect(parts.isEmpty)
    }

    private func deltaState(_ round: Int) throws -> DeltaRow.State? {
        try WorkerStore(directory: state).read { try $0.delta(package: package.hash.hex, round: round)?.state }
    }
}
