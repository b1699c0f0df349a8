// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Logging
import Phantoms
import Results
import Testing
import Torch
import Triage
import Wire
import WorkerStore

@testable import WorkerService

/// A whole worker whose flags become DICOM objects, spoken to over its socket.
@Suite(.serialized) struct ReportRoomTests {
    private let folder: TemporaryFolder
    private let package: URL

    init() throws {
        folder = try TemporaryFolder()
        package = folder.url.appending(path: "package")
        _ = try PackageWriter.write(manifest: ModelTask.headCTHaemorrhage.manifest, seed: 1, to: package)
    }

    /// - Parameter receipts: what the gateway remembers of an earlier worker.
    private func start(
        _ results: WorkerSettings.Results = .every, receipts: ReceiptBook? = nil
    ) throws -> (Worker, GatewayClient) {
        var settings = WorkerSettings(state: folder.url.appending(path: "state", directoryHint: .isDirectory))
        settings.endpoint = "ipc://\(folder.url.path)/worker.ipc"
        settings.packages = [package]
        // Longer than this thread may stall between two instances: a study that is flagged early has more objects.
        settings.quietSeconds = 1
        settings.resendSeconds = 0.5
        settings.threads = 1
        settings.results = results
        let worker = try Worker(settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let gateway = try GatewayClient(worker.endpoint)
        if let receipts { gateway.receipts = receipts }
        try gateway.hello()
        return (worker, gateway)
    }

    private func instances(_ index: Int) throws -> [Data] {
        let study = try PhantomStudy.headCT(seed: 7, index: index, look: .a, isPositive: true, slices: 4, matrix: 64)
        return try (0..<study.instances).map { try study.instance($0) }
    }

    @Test func `A final flag becomes a report and a key image of the study, sent until acknowledged`() throws {
        let files = try instances(1)
        let (made, receipts) = try firstObjects(files)
        // What was acknowledged is not sent again by the next process.
        let (worker, gateway) = try start(receipts: receipts)
        defer { worker.stop() }
        for file in files { try gateway.instance(file) }
        for file in try instances(2) { try gateway.instance(file) }
        try gateway.wait { gateway.results.count >= 2 }
        #expect(Set(gateway.results.map(\.object)).isDisjoint(with: made))
    }

    /// Runs a worker until what it made of a study is acknowledged; gives the SOPInstanceUIDs and what the gateway
    /// remembers.
    private func firstObjects(_ files: [Data]) throws -> (objects: Set<String>, receipts: ReceiptBook) {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        for file in files { try gateway.instance(file) }
        try gateway.wait { gateway.results.count >= 4 }
        let objects = Dictionary(grouping: gateway.results, by: \.object)
        #expect(objects.count == 2)
        #expect(objects.values.allSatisfy { $0.count >= 2 })
        let original = try DicomInstance(files[0])
        for (object, sent) in objects {
            let made = try DicomInstance(sent[0].file)
            #expect(made.sopInstanceUID?.text == object)
            #expect(made.studyInstanceUID == original.studyInstanceUID)
            #expect(made.patientName == original.patientName)
            #expect(OwnResult.matches(manufacturer: made.manufacturer, sopClassUID: made.sopClassUID?.text))
            try gateway.acknowledge(result: object)
        }
        #expect(Set(gateway.results.map(\.kind)) == ["report", "key-image"])
        let store = try WorkerStore(directory: folder.url.appending(path: "state", directoryHint: .isDirectory))
        try gateway.wait { try store.read { try $0.dueResults(gateway: gateway.name, limit: 9) }.isEmpty }
        return (Set(objects.keys), gateway.receipts)
    }

    @Test func `A late instance gives a new report that names the old one`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        let files = try instances(3)
        for file in files.dropLast() { try gateway.instance(file) }
        try gateway.wait { gateway.results.contains { $0.kind == "report" } }
        let first = try #require(gateway.results.first { $0.kind == "report" })
        let held = Set(gateway.results.map(\.object))
        for object in held { try gateway.acknowledge(result: object) }
        try gateway.instance(try #require(files.last))
        try gateway.wait { gateway.results.contains { $0.kind == "report" && $0.object != first.object } }
        let second = try #require(gateway.results.last { $0.kind == "report" && $0.object != first.object })
        #expect(second.file.range(of: Data(first.object.utf8)) != nil)
        #expect(try DicomInstance(second.file).seriesInstanceUID == DicomInstance(first.file).seriesInstanceUID)
    }

    @Test func `What the gateway has lost is made again, as the same objects`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        for file in try instances(8) { try gateway.instance(file) }
        try gateway.wait { Set(gateway.results.map(\.object)).count == 2 }
        let made = Set(gateway.results.map(\.object))
        for object in made { try gateway.acknowledge(result: object) }
        let store = try WorkerStore(directory: folder.url.appending(path: "state", directoryHint: .isDirectory))
        try gateway.wait { try store.read { try $0.resultCounts() } == ResultCounts(due: 0, unsent: 0, failed: [:]) }
        // A gateway that lost its database begins a new state.
        gateway.receipts = ReceiptBook(state: "another-state", serial: 1)
        let before = gateway.results.count
        try gateway.hello(session: "s2")
        try gateway.wait { Set(gateway.results.dropFirst(before).map(\.object)) == made }
        for object in made { try gateway.acknowledge(result: object) }
        try gateway.wait { try store.read { try $0.resultCounts() } == ResultCounts(due: 0, unsent: 0, failed: [:]) }
    }

    @Test func `A worker without memory names the report that the gateway has`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        let files = try instances(9)
        let study = try #require(DicomInstance(files[0]).studyInstanceUID?.text)
        let version = try #require(
            WorkerStore(directory: folder.url.appending(path: "state", directoryHint: .isDirectory)).read {
                try $0.liveVersions().first?.version.id
            })
        gateway.reportOf[Flag.id(studyInstanceUID: study, version: version)] = "2.25.424242"
        for file in files { try gateway.instance(file) }
        try gateway.wait { gateway.results.contains { $0.kind == "report" } }
        let report = try #require(gateway.results.first { $0.kind == "report" })
        #expect(report.file.range(of: Data("2.25.424242".utf8)) != nil)
    }

    @Test func `Gantry's own objects are acknowledged as such and reopen nothing`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        let files = try instances(4)
        for file in files { try gateway.instance(file) }
        try gateway.wait { Set(gateway.results.map(\.object)).count == 2 }
        let study = try #require(DicomInstance(files[0]).studyInstanceUID?.text)
        let revision = try #require(gateway.finalFlag(study)?.revision)
        let own = try gateway.results.prefix(2).map { try gateway.instance($0.file) }
        let other = try instances(5).map { try gateway.instance($0) }
        try gateway.wait { (own + other).allSatisfy { gateway.ack($0) != nil } }
        for sequence in own { #expect(gateway.ack(sequence)?.outcome == .ownResult) }
        try gateway.wait { gateway.flags.contains { $0.study != study && $0.state == .final } }
        #expect(gateway.finalFlag(study)?.revision == revision)
        #expect(gateway.finalFlag(study)?.instances.received == files.count)
    }

    @Test func `A slice that the gateway no longer has is replaced by the next one`() throws {
        let (worker, gateway) = try start()
        defer { worker.stop() }
        gateway.lost = 1
        for file in try instances(6) { try gateway.instance(file) }
        try gateway.wait { Set(gateway.results.map(\.object)).count == 2 }
        #expect(gateway.fetches >= 2)
    }

    @Test func `Switched off, nothing is asked for and nothing is sent`() throws {
        let (worker, gateway) = try start(.off)
        defer { worker.stop() }
        let files = try instances(7)
        for file in files { try gateway.instance(file) }
        let study = try #require(DicomInstance(files[0]).studyInstanceUID?.text)
        try gateway.wait { gateway.finalFlag(study) != nil }
        worker.stop()
        #expect(gateway.results.isEmpty)
        #expect(gateway.fetches == 0)
    }
}
