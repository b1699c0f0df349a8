// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Phantoms
import Testing
import Torch
import Triage
import Wire
import WorkerStore

@testable import WorkerService

/// A whole worker with a real model, spoken to over its socket.
@Suite(.serialized) struct WorkerServiceTests {
    private let folder: TemporaryFolder
    private let package: URL

    init() throws {
        folder = try TemporaryFolder()
        package = folder.url.appending(path: "package")
        _ = try PackageWriter.write(manifest: ModelTask.headCTHaemorrhage.manifest, seed: 1, to: package)
    }

    private func start(packages: Bool = true) throws -> (Worker, GatewayClient) {
        var settings = WorkerSettings(state: folder.url.appending(path: "state", directoryHint: .isDirectory))
        settings.endpoint = "ipc://\(folder.url.path)/worker.ipc"
        settings.packages = packages ? [package] : []
        settings.quietSeconds = 0.3
        settings.resendSeconds = 0.5
        settings.threads = 1
        let worker = try Worker(settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let gateway = try GatewayClient(worker.endpoint)
        try gateway.hello()
        return (worker, gateway)
    }

    private func study(_ index: Int, isPositive: Bool = true, slices: Int = 4) throws -> PhantomStudy {
        try PhantomStudy.headCT(seed: 7, index: index, look: .a, isPositive: isPositive, slices: slices, matrix: 64)
    }

    private func instances(_ study: PhantomStudy) throws -> [Data] {
        try (0..<study.instances).map { try study.instance($0) }
    }

    @Test func `A study is scored, acknowledged and flagged once`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        let study = try study(1)
        let sequences = try instances(study).map { try gateway.instance($0) }
        try gateway.wait {
            gateway.finalFlag(study.studyInstanceUID) != nil && sequences.allSatisfy { gateway.ack($0) != nil }
        }
        let flag = try #require(gateway.finalFlag(study.studyInstanceUID))
        #expect(flag.instances == Flag.Counts(received: 4, scored: 4))
        #expect(flag.patient.id == study.patientID && flag.accessionNumber == study.accessionNumber)
        #expect(flag.model.name == "head-ct-haemorrhage")
        #expect(flag.findings.map(\.finding) == ["intracranial-haemorrhage"])
        #expect(flag.findings[0].evidence.allSatisfy { $0.gatewayInstance.hasPrefix("instance-") })
        #expect(sequences.allSatisfy { gateway.ack($0)?.outcome == .scored })
        #expect(sequences.allSatisfy { gateway.ack($0)?.study == study.studyInstanceUID })
        #expect((gateway.lastCredit ?? 0) > 0)
    }

    @Test func `What was not acknowledged comes again after a restart and the study is flagged once`() throws {
        let study = try study(2)
        let files = try instances(study)
        do {
            let (worker, gateway) = try start()
            for file in files.prefix(2) { try gateway.instance(file) }
            try gateway.wait { gateway.ack(2) != nil }
            worker.stop()
        }
        let (worker, gateway) = try start()
        defer { worker.stop() }
        for file in files { try gateway.instance(file) }
        try gateway.wait { gateway.finalFlag(study.studyInstanceUID)?.instances.scored == 4 }
        let flags = Set(gateway.flags.map(\.flag))
        #expect(flags.count == 1)
        #expect(gateway.finalFlag(study.studyInstanceUID)?.instances.received == 4)
    }

    @Test func `A gateway that comes back gets the flags it has not acknowledged`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        let study = try study(3)
        for file in try instances(study) { try gateway.instance(file) }
        try gateway.wait(acknowledging: false) { gateway.finalFlag(study.studyInstanceUID) != nil }
        let again = try GatewayClient(worker.endpoint)
        try again.hello(session: "s2")
        try again.wait { again.finalFlag(study.studyInstanceUID) != nil }
        #expect(again.finalFlag(study.studyInstanceUID)?.flag == gateway.finalFlag(study.studyInstanceUID)?.flag)
    }

    @Test func `Broken and foreign instances are acknowledged with a named reason and the next one is scored`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        let good = try instances(try study(4, slices: 4))[0]
        let chest = try PhantomStudy.chest(seed: 1, index: 1, look: .a, isPositive: true, matrix: 64)
        let noise = try gateway.instance(Data((0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 31) }))
        let empty = try gateway.instance(Data())
        let cut = try gateway.instance(good.prefix(good.count / 2))
        let foreign = try gateway.instance(try chest.instance(0))
        let scored = try gateway.instance(good)
        try gateway.wait { [noise, empty, cut, foreign, scored].allSatisfy { gateway.ack($0) != nil } }
        for sequence in [noise, empty, cut] {
            #expect(gateway.ack(sequence)?.outcome == .setAside)
            #expect(gateway.ack(sequence)?.reason.isEmpty == false)
        }
        #expect(gateway.ack(cut)?.study.isEmpty == false)
        #expect(gateway.ack(foreign)?.outcome == .ignored)
        #expect(gateway.ack(foreign)?.reason.hasPrefix("no live model takes modality") == true)
        #expect(gateway.ack(scored)?.outcome == .scored)
        try gateway.wait { (gateway.status["set_aside"] as? [String: Int])?.isEmpty == false }
    }

    @Test func `Without a live model no credit is given`() throws {
        let (worker, gateway) = try start(packages: false)
        defer { worker.stop() }
        try gateway.wait { gateway.lastCredit != nil }
        #expect(gateway.lastCredit == 0)
    }

    @Test func `A peer that has not said hello is told who we are and nothing of it is taken`() throws {
        let (worker, _) = try start()
        defer { worker.stop() }
        let stranger = try GatewayClient(worker.endpoint)
        let sequence = try stranger.instance(try instances(try study(5))[0])
        try stranger.wait { stranger.received.contains { if case .hello = $0 { true } else { false } } }
        #expect(stranger.ack(sequence) == nil)
    }

    @Test(arguments: [
        ["GANTRY1 dance"], ["HTTP/1.1"], ["GANTRY1 instance", "x", "y", "z", ""], ["GANTRY1 hello", "a"],
    ])
    func `A message that cannot be read is answered with a named error`(frames: [String]) throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        try gateway.send(frames: frames.map { Data($0.utf8) } + [Data()])
        try gateway.wait { gateway.received.contains { if case .error = $0 { true } else { false } } }
        let sequence = try gateway.instance(try instances(try study(6))[0])
        try gateway.wait { gateway.ack(sequence) != nil }
    }

    @Test func `The host's word ends the waiting`() throws {
        var settings = WorkerSettings(state: folder.url.appending(path: "state", directoryHint: .isDirectory))
        settings.endpoint = "ipc://\(folder.url.path)/worker.ipc"
        settings.packages = [package]
        settings.quietSeconds = 3600
        settings.threads = 1
        let worker = try Worker(settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        defer { worker.stop() }
        let gateway = try GatewayClient(worker.endpoint)
        try gateway.hello()
        let study = try study(7)
        for file in try instances(study) { try gateway.instance(file) }
        try gateway.send(.studyComplete(studyInstanceUID: study.studyInstanceUID))
        try gateway.wait { gateway.finalFlag(study.studyInstanceUID) != nil }
        #expect(gateway.finalFlag(study.studyInstanceUID)?.instances.scored == 4)
    }

    @Test func `The socket and the state are for their owner alone`() throws {
        let (worker, _) = try start()
        defer { worker.stop() }
        func mode(_ path: String) throws -> Int {
            try #require(
                FileManager.default.attributesOfItem(atPath: folder.url.appending(path: path).path)[.posixPermissions]
                    as? Int)
        }
        #expect(try mode("worker.ipc") == 0o600)
        #expect(try mode("state/worker.sqlite") == 0o600)
        #expect(try mode("state/examples") == 0o700)
    }

    @Test func `A second worker cannot use the same state`() throws {
        let (worker, _) = try start()
        defer { worker.stop() }
        var settings = WorkerSettings(state: folder.url.appending(path: "state", directoryHint: .isDirectory))
        settings.endpoint = "ipc://\(folder.url.path)/other.ipc"
        #expect(throws: StateLock.Taken.self) {
            try Worker(settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
    }
}
