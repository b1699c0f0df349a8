// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import Logging
import ModelPackage
import Testing
import Torch
import Triage

@testable import WorkerService
@testable import WorkerStore

/// What an administrator decides, what a hub offers, and who wins.
@Suite struct ModelDecisionTests {
    private let folder: TemporaryFolder
    private let store: WorkerStore
    private let live = version("one")
    private let offered = version("theirs", package: "offered")

    init() throws {
        folder = try TemporaryFolder()
        store = try WorkerStore(directory: folder.url)
        try store.addModel(manifest(), live)
    }

    private func offer(_ version: ModelVersion, name: String = "theirs", at: Int64 = 10) throws {
        try store.write {
            try $0.add(
                PackageRow(
                    package: version.package, manifest: manifest(name: name), state: .waiting, origin: .hub, bytes: 5,
                    installedAt: at),
                offered: HubOffer(version: version, hub: "tcp://hub", parametersBytes: 3, round: 7, offeredAt: at))
        }
    }

    private func state(_ package: Hash) throws -> PackageRow.State? {
        try store.read { try $0.package(package)?.state }
    }

    /// A version that was live before the present one.
    private func addVersion(_ text: String, round: Int) throws -> ModelVersion {
        let next = version(text)
        try store.write { try $0.save(VersionRow(version: next, round: round, state: .live, decidedAt: Int64(round))) }
        return next
    }

    @Test func `What a hub offers waits, and approval takes the version that is offered then`() throws {
        try offer(offered)
        #expect(try store.read { try $0.activePackages().map(\.package) } == [live.package])
        let (package, taken) = try store.write { try $0.approve("theirs", replacing: false, by: "admin") }
        #expect(package.package == offered.package && taken.round == 7)
        #expect(try state(offered.package) == .approved)
        #expect(try store.read { try $0.offer(offered.package)?.approved } == offered.parameters)
        // The hub goes on; what was approved stays.
        try store.write {
            try $0.save(
                HubOffer(
                    version: version("later", package: "offered"), hub: "tcp://hub", parametersBytes: 3, round: 8,
                    offeredAt: 20))
        }
        let now = try #require(try store.read { try $0.offer(offered.package) })
        #expect(now.approved == offered.parameters && now.approvedRound == 7 && now.round == 8)
        try store.verifyAudit()
    }

    @Test func `A hub's package of the name of one's own takes its place only when that is said`() throws {
        try offer(offered, name: "test-model")
        #expect {
            try store.write { try $0.approve(offered.package.short, replacing: false, by: "admin") }
        } throws: {
            "\($0)".contains("--replace")
        }
        // What the settings name wins always.
        #expect {
            try store.write { try $0.approve(offered.package.short, replacing: true, by: "admin") }
        } throws: {
            "\($0)".contains("`packages`")
        }
        try store.write {
            try $0.install(PackageRow(package: live.package, manifest: manifest(), origin: .command, installedAt: 1))
        }
        _ = try store.write { try $0.approve(offered.package.short, replacing: true, by: "admin") }
        #expect(try state(live.package) == .active, "until the files are here")
        // An own package that is installed meanwhile keeps its place.
        try store.write {
            try $0.install(PackageRow(package: live.package, manifest: manifest(), origin: .command, installedAt: 1))
        }
        #expect(try state(offered.package) == .waiting)
    }

    @Test func `A hub cannot make more than a few packages wait, and forgotten ones make room after a day`() throws {
        for number in 0..<WorkerTransaction.mostPackagesWaiting {
            #expect(try store.write { try $0.makeRoomForOffer(at: 10) })
            try offer(version("v", package: "package \(number)"), name: "theirs-\(number)")
        }
        #expect(try store.write { try $0.makeRoomForOffer(at: 10) } == false)
        #expect(try store.write { try $0.makeRoomForOffer(at: 86_400_020) })
        #expect(try store.read { try $0.packages().map(\.package) } == [live.package])
    }

    @Test func `What is denied stays denied, and can be approved after all`() throws {
        try offer(offered)
        _ = try store.write { try $0.deny("theirs", by: "admin") }
        #expect(try state(offered.package) == .denied)
        _ = try store.write { try $0.approve("theirs", replacing: false, by: "admin") }
        #expect(try state(offered.package) == .approved)
    }

    @Test func `A disabled package is none that scores, and comes back when enabled`() throws {
        _ = try store.write { try $0.disable("test-model", by: "admin") }
        #expect(try store.read { try $0.liveVersions() }.isEmpty)
        #expect(throws: ModelDecisionError.self) { try store.write { try $0.disable("test-model", by: "admin") } }
        _ = try store.write { try $0.enable("test-model", by: "admin") }
        #expect(try store.read { try $0.liveVersions().map(\.version) } == [live])
    }

    @Test func `Going back makes the version before live and says that this one is refused`() throws {
        let next = try addVersion("two", round: 1)
        let last = try addVersion("three", round: 2)
        let (_, from, to) = try store.write {
            try $0.rollBack("test-model", to: nil, by: "admin", at: 9, isKept: { _ in true })
        }
        #expect(from.version == last && to.version == next)
        #expect(try store.read { try $0.liveVersions().map(\.version) } == [next])
        let refused = try #require(try store.read { try $0.version(last.id) })
        #expect(refused.state == .refused && refused.isReportDue)
        _ = try store.write {
            try $0.rollBack("test-model", to: live.id.short, by: "admin", at: 10, isKept: { _ in true })
        }
        #expect(try store.read { try $0.liveVersions().map(\.version) } == [live])
        #expect {
            try store.write { try $0.rollBack("test-model", to: "abc", by: "admin", at: 11, isKept: { _ in true }) }
        } throws: {
            "\($0)".contains(next.id.short)
        }
        #expect {
            try store.write { try $0.rollBack("test-model", to: nil, by: "admin", at: 11, isKept: { _ in false }) }
        } throws: {
            "\($0)".contains("no version was live before")
        }
        try store.verifyAudit()
    }

    @Test func `A pinned package keeps its version and new ones wait`() throws {
        let next = try addVersion("two", round: 1)
        let (_, pinned) = try store.write {
            try $0.pin("test-model", version: live.id.short, by: "admin", at: 9, isKept: { _ in true })
        }
        #expect(pinned.version == live)
        #expect(try store.read { try $0.liveVersions().map(\.version) } == [live])
        #expect(try store.read { try $0.package(live.package)?.isPinned } == true)
        #expect(try store.read { try $0.version(next.id)?.state } == .superseded)
        _ = try store.write { try $0.unpin("test-model", by: "admin") }
        #expect(throws: ModelDecisionError.self) { try store.write { try $0.unpin("test-model", by: "admin") } }
    }

    @Test func `A package that is removed takes its examples along, and leaves labels`() throws {
        try store.addStudy("1.1", package: live.package)
        try store.addLabel("1.1", isPresent: true)
        let (_, paths) = try store.write { try $0.remove("test-model", by: "admin") }
        #expect(
            Set(paths) == [
                "packages/\(live.package.hex)", "examples/1.1.safetensors",
                "parameters/\(live.parameters.hex).safetensors",
            ])
        #expect(try store.read { try $0.packages() }.isEmpty)
        #expect(try store.read { try $0.currentLabel("1.1", finding: "bleed") } == true)
        try store.verifyAudit()
    }

    @Test func `An unknown or unclear name is an error that lists what there is`() throws {
        try offer(offered)
        try offer(version("x", package: "other"))
        #expect {
            try store.write { try $0.approve("nobody", replacing: false, by: "admin") }
        } throws: {
            "\($0)".contains("test-model") && "\($0)".contains("theirs")
        }
        #expect {
            try store.write { try $0.approve("theirs", replacing: false, by: "admin") }
        } throws: {
            "\($0)".contains(offered.package.short)
        }
        _ = try store.write { try $0.approve(offered.package.short, replacing: false, by: "admin") }
    }

    @Test func `What the settings no longer name stops, and what came from a hub goes on`() throws {
        let theirs = version("x", package: "other")
        try store.write {
            try $0.install(
                PackageRow(package: theirs.package, manifest: manifest(name: "hubs"), origin: .hub, installedAt: 2))
        }
        #expect(try store.write { try $0.unlist(allBut: [live.package]) }.isEmpty)
        #expect(try store.write { try $0.unlist(allBut: []) }.map(\.package) == [live.package])
        #expect(try store.read { try $0.activePackages().map(\.package) } == [theirs.package])
    }

    @Test func `The parameters of the last versions that were live are kept, and no others`() throws {
        let versions = try (1...12).map { try addVersion("v\($0)", round: $0) }
        for number in 0..<70 {
            try store.write { try $0.addCandidate(version("c\(number)"), round: 20, at: Int64(100 + number)) }
        }
        let kept = try store.read { try $0.parametersToKeep() }
        #expect(kept == Set(versions.suffix(9).map(\.parameters) + [version("c69").parameters]))
        #expect(try store.read { try $0.versions(package: live.package) }.count <= 13 + 51)
    }

    @Test func `A database of before is upgraded: what was live is approved, what had been replaced is not`() throws {
        let old = folder.url.appending(path: "old")
        try FileManager.default.createDirectory(at: old, withIntermediateDirectories: true)
        let database = try DatabaseQueue(path: old.appending(path: "worker.sqlite").path)
        try WorkerStore.migrator.migrate(database, upTo: "studies-labels-versions")
        let text = String(decoding: try JSONEncoder().encode(manifest()), as: UTF8.self)
        try database.write { db in
            for (package, active) in [(live.package, 0), (offered.package, 1)] {
                try db.execute(
                    sql:
                        "INSERT INTO package (package, name, manifest, active, installed_at_ms) VALUES (?, 'm', ?, ?, 1)",
                    arguments: [package.hex, text, active])
                let version = package == live.package ? live : offered
                try db.execute(
                    sql: """
                        INSERT INTO model_version VALUES (?, ?, ?, 0, 'live', 1, 0, NULL, NULL, 0)
                        """, arguments: [version.id.hex, package.hex, version.parameters.hex])
            }
        }
        try database.close()
        let upgraded = try WorkerStore(directory: old)
        let rows = try upgraded.read { try $0.packages() }
        #expect(rows.first { $0.package == live.package }?.state == .replaced)
        #expect(rows.first { $0.package == offered.package }?.state == .active)
        #expect(try upgraded.read { try $0.liveVersions().map(\.version) } == [offered])
        #expect(try upgraded.read { try $0.earlierVersions(offered.package) }.isEmpty)
        try upgraded.verifyAudit()
        let events = try DatabaseQueue(path: old.appending(path: "worker.sqlite").path).read {
            try String.fetchAll($0, sql: "SELECT event || ' ' || detail FROM audit_entry")
        }
        #expect(events.count == 1 && events[0].hasPrefix("package-approved") && events[0].contains("upgrade"))
    }

    @Test func `A database that was lost knows again what was approved and which version was live`() throws {
        let package = try PackageWriter.write(manifest: manifest(), seed: 1, to: folder.url.appending(path: "hubs"))
        try store.keep(package)
        let own = try #require(package.version)
        try store.write {
            try $0.install(PackageRow(package: package.hash, manifest: manifest(), origin: .hub, installedAt: 2))
            try $0.save(VersionRow(version: own, round: 3, state: .live, decidedAt: 2))
        }
        _ = try store.write { try $0.pin("test-model", version: nil, by: "admin", at: 3, isKept: { _ in true }) }
        try store.copyPackages()
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(at: folder.url.appending(path: "worker.sqlite\(suffix)"))
        }
        let fresh = try WorkerStore(directory: folder.url)
        #expect(try fresh.recoverPackages(at: 9) == 1, "the other one's files are not here")
        #expect(try fresh.recoverPackages(at: 9) == 0)
        let row = try #require(try fresh.read { try $0.package(package.hash) })
        #expect(row.state == .active && row.origin == .hub && row.isPinned)
        #expect(try fresh.read { try $0.liveVersions() }.map(\.round) == [3])
        try fresh.verifyAudit()
    }

    @Test func `A package that the settings name is live again, whatever a hub put in its place`() throws {
        let package = try PackageWriter.write(manifest: manifest(), seed: 1, to: folder.url.appending(path: "own"))
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let shelf = ModelShelf(store: store, models: LiveModels(), log: log, timepiece: .system)
        try shelf.installNamed([package.directory])
        #expect(try state(live.package) == .replaced)
        let theirs = version("x", package: "other")
        try store.write {
            try $0.install(PackageRow(package: theirs.package, manifest: manifest(), origin: .hub, installedAt: 2))
            try $0.save(VersionRow(version: theirs, round: 0, state: .live, decidedAt: 2))
        }
        #expect(try state(package.hash) == .replaced)
        try shelf.installNamed(nil)
        #expect(try state(package.hash) == .replaced)
        try shelf.installNamed([package.directory])
        #expect(try state(package.hash) == .active && state(theirs.package) == .replaced)
        // An administrator's word outlives the start.
        _ = try store.write { try $0.disable(package.hash.short, by: "admin") }
        try shelf.installNamed([package.directory])
        #expect(try state(package.hash) == .disabled)
        try shelf.installNamed([])
        #expect(try store.read { try $0.activePackages() }.isEmpty)
    }
}
