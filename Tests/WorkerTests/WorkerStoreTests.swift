// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import ModelPackage
import Testing
import Triage
import Wire

@testable import WorkerStore

@Suite struct WorkerStoreTests {
    private let folder: TemporaryFolder
    private let store: WorkerStore
    private let live = version("one")

    init() throws {
        folder = try TemporaryFolder()
        store = try WorkerStore(directory: folder.url)
        try store.addModel(manifest(), live)
    }

    @Test func `Commits wait for the disk`() throws {
        #expect(try store.synchronousLevel() == 2)
    }

    @Test func `A database of a newer program is refused and says what to do`() throws {
        let database = try DatabaseQueue(path: folder.url.appending(path: "worker.sqlite").path)
        try database.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('from-the-future')") }
        #expect {
            try WorkerStore(directory: folder.url)
        } throws: { error in
            "\(error)".contains("newer gantry-worker")
        }
    }

    @Test func `A directory without a worker's state is refused by the command line`() throws {
        #expect(throws: WorkerStoreError.self) {
            try WorkerStore(directory: folder.url.appending(path: "none"), create: false)
        }
    }

    @Test func `The latest statement about a finding wins and history is kept`() throws {
        try store.addStudy("1.1", package: live.package)
        try store.addLabel("1.1", isPresent: true, at: 200)
        try store.addLabel("1.1", isPresent: false, at: 300)
        // Comes in last but was said first.
        try store.addLabel("1.1", isPresent: true, at: 100)
        #expect(try store.read { try $0.currentLabel("1.1", finding: "bleed") } == false)
        #expect(try store.read { try $0.labelHistory("1.1").map(\.at) } == [100, 200, 300])
    }

    @Test func `Two statements of the same moment are decided by the order of arrival`() throws {
        try store.addStudy("1.1", package: live.package)
        try store.addLabel("1.1", isPresent: true, at: 100)
        try store.addLabel("1.1", isPresent: false, at: 100)
        #expect(try store.read { try $0.currentLabel("1.1", finding: "bleed") } == false)
    }

    @Test func `Labels are counted by side, by class and since the last contribution`() throws {
        for number in 0..<5 {
            try store.addStudy("1.\(number)", package: live.package, isHeldOut: number == 4)
            try store.addLabel("1.\(number)", isPresent: number % 2 == 0)
        }
        var counts = try store.read { try $0.labelCounts(package: live.package.hex, findings: ["bleed"]) }
        #expect(counts.training == 4 && counts.new == 4 && counts.heldOut == 1)
        #expect(counts.trainingPresent == 2 && counts.trainingAbsent == 2)
        let last = counts.lastLabel
        try store.write {
            try $0.save(
                DeltaRow(
                    package: live.package.hex, round: 1, hash: "h", manifest: "{}", state: .accepted, lastLabel: last,
                    createdAt: 1))
        }
        try store.addLabel("1.0", isPresent: false, at: 50)
        counts = try store.read { try $0.labelCounts(package: live.package.hex, findings: ["bleed"]) }
        #expect(counts.training == 4 && counts.new == 1)
    }

    @Test func `Held-out studies are never among the examples to train on`() throws {
        for number in 0..<10 {
            try store.addStudy("1.\(number)", package: live.package, isHeldOut: number < 3)
            try store.addLabel("1.\(number)", isPresent: true)
        }
        let training = try store.read {
            try $0.labelledExamples(package: live.package.hex, findings: ["bleed"], heldOut: false)
        }
        let heldOut = try store.read {
            try $0.labelledExamples(package: live.package.hex, findings: ["bleed"], heldOut: true)
        }
        #expect(training.count == 7 && heldOut.count == 3)
        #expect(Set(training.map(\.file)).isDisjoint(with: heldOut.map(\.file)))
    }

    @Test func `Examples without a label go first, the oldest first, held-out ones last`() throws {
        try store.addStudy("labelled", package: live.package, at: 1)
        try store.addStudy("held-out", package: live.package, isHeldOut: true, at: 1)
        try store.addStudy("old", package: live.package, at: 2)
        try store.addStudy("new", package: live.package, at: 3)
        try store.addLabel("labelled", isPresent: true)
        try store.addLabel("held-out", isPresent: true)
        let order = try store.read { try $0.examplesToDrop(limit: 10).map(\.study.studyInstanceUID) }
        #expect(order == ["old", "new", "labelled", "held-out"])
    }

    @Test func `An acknowledgement of an old revision does not hide a newer one`() throws {
        try store.addStudy("1.1", package: live.package)
        let id = Flag.id(studyInstanceUID: "1.1", version: live.id)
        func flag(_ revision: Int) -> FlagRow {
            FlagRow(
                study: "1.1", modelVersion: live.id.hex, package: live.package.hex, flag: id,
                state: .final, revision: revision, document: "{}")
        }
        try store.write { try $0.save(flag(1)) }
        try store.write { try $0.save(flag(2)) }
        try store.write {
            try $0.acknowledgeFlag(id, gateway: "g", revision: 1, report: "", receipt: Receipt(state: "g", serial: 1))
        }
        #expect(try store.read { try $0.unacknowledgedFlags(gateway: "g", limit: 9).map(\.revision) } == [2])
        // A gateway cannot acknowledge what was never sent.
        try store.write {
            try $0.acknowledgeFlag(id, gateway: "g", revision: 99, report: "", receipt: Receipt(state: "g", serial: 2))
        }
        #expect(try store.read { try $0.unacknowledgedFlags(gateway: "g", limit: 9).isEmpty })
        try store.write { try $0.save(flag(3)) }
        #expect(try store.read { try $0.unacknowledgedFlags(gateway: "g", limit: 9).map(\.revision) } == [3])
    }

    @Test func `One version of a package is live and what it replaced is superseded`() throws {
        let next = version("two")
        try store.write { try $0.addCandidate(next, round: 1, at: 5) }
        try store.write { try $0.save(VersionRow(version: next, round: 1, state: .live, decidedAt: 6)) }
        #expect(try store.read { try $0.liveVersions().map(\.version) } == [next])
        #expect(try store.read { try $0.version(live.id)?.state } == .superseded)
    }

    @Test func `A newer candidate takes the place of one that waits`() throws {
        try store.write {
            try $0.save(VersionRow(version: version("two"), round: 1, state: .waiting, decidedAt: 5))
            try $0.addCandidate(version("three"), round: 2, at: 6)
        }
        #expect(try store.read { try $0.undecidedVersion(package: live.package)?.version } == version("three"))
        #expect(try store.read { try $0.version(version("two").id)?.state } == .superseded)
    }

    @Test func `A package of the same name takes the place of the older one`() throws {
        let other = version("x", package: "newer build")
        try store.addModel(manifest(), other)
        #expect(try store.read { try $0.activePackages().map(\.package) } == [other.package])
        #expect(try store.read { try $0.liveVersions().map(\.version) } == [other])
    }

    @Test func `Labels and decisions are in the audit log without a study's identity`() throws {
        try store.addStudy("1.2.840.99", package: live.package)
        try store.addLabel("1.2.840.99", isPresent: true)
        try store.verifyAudit()
        let database = try DatabaseQueue(path: folder.url.appending(path: "worker.sqlite").path)
        let details = try database.read { try String.fetchAll($0, sql: "SELECT detail FROM audit_entry") }
        #expect(details.contains { $0.contains("bleed") })
        #expect(!details.contains { $0.contains("1.2.840.99") })
    }
}
