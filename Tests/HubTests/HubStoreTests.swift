// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import GRDB
import ModelPackage
import Rounds
import Tensors
import Testing
import ZeroMQ

@testable import HubStore

@Suite struct HubStoreTests {
    let folder: TemporaryFolder
    let directory: URL

    init() throws {
        folder = try TemporaryFolder()
        directory = folder.url.appending(path: "state")
    }

    /// A store with two sites, a model and an open round of both.
    func storeWithRound() throws -> (HubStore, Round) {
        let store = try HubStore.create(in: directory)
        for site in ["A", "B"] {
            try store.addSite(name: site, publicKey: try CurveKeyPair.generate().publicKey, atMilliseconds: 1)
        }
        let package = try TestPackage.make(in: folder.url)
        try store.addModel(package, atMilliseconds: 2)
        let round = try #require(
            try store.openRound(
                package: package.hash, cohort: ["A", "B"], settings: RoundSettings(), atMilliseconds: 3))
        return (store, round)
    }

    func delta(_ value: Float, in round: Round) -> (bytes: Data, manifest: DeltaManifest) {
        let bytes = Safetensors.encode(TestPackage.delta(value))
        return (bytes, TestPackage.manifest(bytes, round: round.number, base: round.base.id))
    }

    @Test func `a schema of a newer release is refused by name`() throws {
        let store = try HubStore.create(in: directory)
        try store.pool.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99-from-the-future')") }
        let path = store.databaseFile.path
        try store.pool.close()
        #expect(throws: HubStoreError.newerSchema(path)) { try HubStore(directory: directory) }
    }

    @Test func `a folder without state is refused and an existing state is not made again`() throws {
        #expect(throws: HubStoreError.notInitialised(directory.path)) { try HubStore(directory: directory) }
        _ = try HubStore.create(in: directory)
        #expect(throws: HubStoreError.initialised(directory.path)) { try HubStore.create(in: directory) }
    }

    @Test func `commits survive a power cut`() throws {
        let store = try HubStore.create(in: directory)
        let (mode, synchronous) = try store.pool.writeWithoutTransaction { db in
            (
                try String.fetchOne(db, sql: "PRAGMA journal_mode"), try Int.fetchOne(db, sql: "PRAGMA synchronous")
            )
        }
        #expect(mode == "wal")
        #expect(synchronous == 2)
    }

    @Test func `one process runs a hub at a time`() throws {
        let store = try HubStore.create(in: directory)
        var lock: HubLock? = try HubLock(store)
        #expect(throws: HubStoreError.inUse(directory.path)) { try HubLock(store) }
        withExtendedLifetime(lock) {}
        lock = nil
        _ = try HubLock(store)
    }

    // MARK: Sites

    @Test func `every site has a name and a key of its own`() throws {
        let store = try HubStore.create(in: directory)
        let (first, second) = (try CurveKeyPair.generate().publicKey, try CurveKeyPair.generate().publicKey)
        try store.addSite(name: "A", publicKey: first, atMilliseconds: 1)
        #expect(throws: HubStoreError.keyInUse(site: "A")) {
            try store.addSite(name: "B", publicKey: first, atMilliseconds: 1)
        }
        #expect(throws: HubStoreError.siteExists("A")) {
            try store.addSite(name: "A", publicKey: second, atMilliseconds: 1)
        }
        #expect(throws: HubStoreError.badSiteName("../A")) {
            try store.addSite(name: "../A", publicKey: second, atMilliseconds: 1)
        }
        #expect(throws: HubStoreError.badKey("short")) {
            try store.addSite(name: "C", publicKey: "short", atMilliseconds: 1)
        }
    }

    @Test func `a revoked site comes back only with a new key`() throws {
        let store = try HubStore.create(in: directory)
        let (first, second) = (try CurveKeyPair.generate().publicKey, try CurveKeyPair.generate().publicKey)
        try store.addSite(name: "A", publicKey: first, atMilliseconds: 1)
        try store.revokeSite(name: "A", atMilliseconds: 2)
        #expect(try store.site(publicKey: first)?.isRevoked == true)
        #expect(throws: HubStoreError.noSite("A")) { try store.revokeSite(name: "A", atMilliseconds: 3) }
        #expect(throws: HubStoreError.siteExists("A")) {
            try store.addSite(name: "A", publicKey: first, atMilliseconds: 4)
        }
        try store.addSite(name: "A", publicKey: second, atMilliseconds: 5)
        #expect(try store.site(publicKey: first) == nil)
        #expect(try store.site(publicKey: second)?.isRevoked == false)
    }

    @Test func `what a revoked site gave to an open round does not count`() throws {
        let (store, round) = try storeWithRound()
        let (bytes, manifest) = delta(1, in: round)
        let complete = try store.appendToDelta(
            try store.beginDelta(manifest, from: "A", atMilliseconds: 4), bytes, atMilliseconds: 5)
        #expect(try store.acceptDelta(complete, atMilliseconds: 6) == nil)
        try store.revokeSite(name: "A", atMilliseconds: 7)
        let after = try #require(try store.round(round.number))
        #expect(after.contributions.isEmpty)
        #expect(after.cohort == ["B"])
        #expect(try store.delta(round: round.number, site: "A", hash: manifest.hash)?.state == .withdrawn)
    }

    // MARK: Models

    @Test func `a package without parameters is refused with the command that makes them`() throws {
        let store = try HubStore.create(in: directory)
        let package = try TestPackage.make(in: folder.url, parameters: nil)
        let error = #expect(throws: HubStoreError.self) { try store.addModel(package, atMilliseconds: 1) }
        #expect(error?.description.contains("gantry model prepare") == true)
        let broken = try TestPackage.make(in: folder.url, name: "nan", parameters: TestPackage.delta(.nan))
        #expect(throws: HubStoreError.self) { try store.addModel(broken, atMilliseconds: 1) }
        #expect(try store.models().isEmpty)
    }

    @Test func `the same package twice is one model and another package of its name is refused`() throws {
        let store = try HubStore.create(in: directory)
        let package = try TestPackage.make(in: folder.url)
        #expect(try store.addModel(package, atMilliseconds: 1))
        #expect(try !store.addModel(package, atMilliseconds: 2))
        #expect(try store.models().map(\.name) == ["test-model"])
        #expect(try store.models()[0].current.version == package.version)
        let other = try TestPackage.make(in: folder.url, parameters: TestPackage.delta(1))
        #expect(throws: HubStoreError.self) { try store.addModel(other, atMilliseconds: 3) }
    }

    @Test func `sites may fetch package files and parameters and nothing else`() throws {
        let (store, round) = try storeWithRound()
        let (bytes, manifest) = delta(1, in: round)
        let complete = try store.appendToDelta(
            try store.beginDelta(manifest, from: "A", atMilliseconds: 4), bytes, atMilliseconds: 5)
        #expect(try store.acceptDelta(complete, atMilliseconds: 6) == nil)
        for file in try store.models()[0].files { #expect(try store.fetchableBytes(file.hash) == file.bytes) }
        #expect(try store.fetchableBytes(manifest.hash) == nil)
        #expect(store.deltas.contains(manifest.hash))
    }

    // MARK: Deltas

    @Test func `an upload goes on after a restart from the bytes that were acknowledged`() throws {
        let manifest: DeltaManifest
        let bytes: Data
        let number: Int
        do {
            let (store, round) = try storeWithRound()
            (bytes, manifest) = delta(1, in: round)
            number = round.number
            let begun = try store.beginDelta(manifest, from: "A", atMilliseconds: 4)
            #expect(begun.received == 0)
            _ = try store.appendToDelta(begun, bytes.prefix(40), atMilliseconds: 5)
            // Written and not acknowledged: the process dies before its commit.
            let handle = try FileHandle(forWritingTo: store.upload(round: number, site: "A"))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data("half a piece".utf8))
            try handle.close()
            try store.pool.close()
        }
        let store = try HubStore(directory: directory)
        try store.sweepAtStart()
        let resumed = try store.beginDelta(manifest, from: "A", atMilliseconds: 6)
        #expect(resumed.received == 40)
        let complete = try store.appendToDelta(resumed, bytes.dropFirst(40), atMilliseconds: 7)
        #expect(complete.isComplete)
        #expect(try Data(contentsOf: store.upload(round: number, site: "A")) == bytes)
        #expect(try store.acceptDelta(complete, atMilliseconds: 8) == nil)
        #expect(try store.round(number)?.contributions["A"]?.hash == manifest.hash)
    }

    @Test func `a crash between moving a delta and committing it costs a repeat and nothing else`() throws {
        let (store, round) = try storeWithRound()
        let (bytes, manifest) = delta(1, in: round)
        let complete = try store.appendToDelta(
            try store.beginDelta(manifest, from: "A", atMilliseconds: 4), bytes, atMilliseconds: 5)
        try store.deltas.adopt(store.upload(round: round.number, site: "A"), as: manifest.hash)
        try store.sweepAtStart()
        let again = try store.beginDelta(manifest, from: "A", atMilliseconds: 6)
        #expect(again.received == 0)
        #expect(complete.isComplete)
    }

    @Test func `another delta of the same site starts anew`() throws {
        let (store, round) = try storeWithRound()
        let (first, second) = (delta(1, in: round), delta(2, in: round))
        _ = try store.appendToDelta(
            try store.beginDelta(first.manifest, from: "A", atMilliseconds: 4), first.bytes.prefix(30),
            atMilliseconds: 5)
        #expect(try store.beginDelta(second.manifest, from: "A", atMilliseconds: 6).received == 0)
        #expect(try store.delta(round: round.number, site: "A", hash: first.manifest.hash)?.state == .superseded)
        #expect(try store.receiving(round: round.number).map(\.hash) == [second.manifest.hash])
    }

    @Test func `a site contributes once to a round`() throws {
        let (store, round) = try storeWithRound()
        let (first, second) = (delta(1, in: round), delta(2, in: round))
        var outcomes: [DeltaRefusal?] = []
        for delta in [first, second] {
            let complete = try store.appendToDelta(
                try store.beginDelta(delta.manifest, from: "A", atMilliseconds: 4), delta.bytes, atMilliseconds: 5)
            outcomes.append(try store.acceptDelta(complete, atMilliseconds: 6))
        }
        #expect(outcomes == [nil, .repeatedRound])
        #expect(try store.round(round.number)?.contributions.mapValues(\.hash) == ["A": first.manifest.hash])
    }

    @Test func `a delta that is complete after its round closed is not counted`() throws {
        let (store, round) = try storeWithRound()
        let (bytes, manifest) = delta(1, in: round)
        let complete = try store.appendToDelta(
            try store.beginDelta(manifest, from: "A", atMilliseconds: 4), bytes, atMilliseconds: 5)
        _ = try store.beginAggregation(round.number)
        #expect(try store.acceptDelta(complete, atMilliseconds: 6) == .roundClosed)
        #expect(try store.round(round.number)?.contributions.isEmpty == true)
    }

    @Test func `deltas are deleted with the end of their round`() throws {
        let (store, round) = try storeWithRound()
        let (bytes, manifest) = delta(1, in: round)
        let complete = try store.appendToDelta(
            try store.beginDelta(manifest, from: "A", atMilliseconds: 4), bytes, atMilliseconds: 5)
        #expect(try store.acceptDelta(complete, atMilliseconds: 6) == nil)
        _ = try store.beginDelta(delta(2, in: round).manifest, from: "B", atMilliseconds: 6)
        try store.sweepDeltas()
        #expect(store.deltas.contains(manifest.hash))
        try store.voidRound(round.number, reason: "test", atMilliseconds: 7)
        try store.sweepDeltas()
        #expect(!store.deltas.contains(manifest.hash))
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.uploads.path).isEmpty)
    }

    @Test func `refusals are counted and a peer that repeats them cannot fill the audit log`() throws {
        let (store, round) = try storeWithRound()
        let before = try store.verifyAudit().entries
        for _ in 0..<50 {
            try store.refuse(site: "A", round: round.number, reason: "bad-weight", atMilliseconds: 9)
            try store.refuse(
                site: "A", round: Int.random(in: 1000...100_000), reason: "unknown-round", atMilliseconds: 9)
        }
        #expect(try store.verifyAudit().entries == before + 2)
        #expect(try store.refusals().map(\.count) == [50, 50])
    }

    // MARK: Rounds

    @Test func `a model has one round at a time`() throws {
        let (store, round) = try storeWithRound()
        let package = round.base.package
        #expect(
            try store.openRound(package: package, cohort: ["A"], settings: RoundSettings(), atMilliseconds: 9) == nil)
        try store.voidRound(round.number, reason: "test", atMilliseconds: 10)
        let next = try store.openRound(package: package, cohort: ["A"], settings: RoundSettings(), atMilliseconds: 11)
        #expect(next?.number == round.number + 1)
        #expect(try store.roundHistory(package: package).lastEndMilliseconds == 10)
        #expect(try store.roundCounts(package: package) == [.open: 1, .void: 1])
    }

    @Test func `a closed round makes one version on top of its base`() throws {
        let (store, round) = try storeWithRound()
        _ = try store.beginAggregation(round.number)
        let parameters = Hash(of: Data("new".utf8))
        let version = try store.closeRound(round.number, parameters: parameters, parametersBytes: 3, atMilliseconds: 9)
        #expect(version?.number == 1)
        #expect(version?.parent == round.base.id)
        #expect(try store.models()[0].current == version)
        #expect(
            try store.closeRound(round.number, parameters: parameters, parametersBytes: 3, atMilliseconds: 10) == nil)
        #expect(try store.versions(package: round.base.package).map(\.number) == [0, 1])
    }

    @Test func `a round whose deltas cancel out leaves the version as it is`() throws {
        let (store, round) = try storeWithRound()
        _ = try store.beginAggregation(round.number)
        let version = try store.closeRound(
            round.number, parameters: round.base.parameters, parametersBytes: 3, atMilliseconds: 9)
        #expect(version?.number == 0)
        #expect(try store.round(round.number)?.state == .closed)
    }

    @Test func `a report about an unknown version is not kept`() throws {
        let (store, round) = try storeWithRound()
        func report(_ version: Hash, _ decision: VersionReport.Decision) -> VersionReport {
            VersionReport(version: version, decision: decision, heldOutLabels: 9, candidateAUC: 0.9, liveAUC: 0.8)
        }
        #expect(try store.recordReport(report(Hash(of: Data()), .live), from: "A", atMilliseconds: 1) == nil)
        #expect(try store.recordReport(report(round.base.id, .waiting), from: "A", atMilliseconds: 2) == true)
        #expect(try store.recordReport(report(round.base.id, .live), from: "A", atMilliseconds: 3) == true)
        #expect(try store.reports(package: round.base.package).map(\.report.decision) == [.live])
    }

    // MARK: One site cannot speak for all

    @Test func `a database of the first release is brought up to date and goes on`() throws {
        let (store, round) = try storeWithRound()
        let package = round.base.package
        try store.set(RoundSettings(), for: "rounds")
        // What the first release had: its tables are these without what the second migration adds.
        try store.pool.write { db in
            for (table, column) in [
                ("cohort", "training_labels"), ("cohort", "total_labels"), ("cohort", "offers"),
                ("cohort", "out_of_line"), ("version_report", "changes"), ("version_report", "reason"),
                ("version_report", "candidate_sensitivity"), ("version_report", "live_sensitivity"),
                ("version_report", "candidate_specificity"), ("version_report", "live_specificity"),
                ("version_report", "candidate_flagged"), ("version_report", "live_flagged"),
                ("version_report", "recent_studies"), ("model", "forgotten_closed"), ("model", "forgotten_void"),
            ] { try db.execute(sql: "ALTER TABLE \(table) DROP COLUMN \(column)") }
            try db.execute(sql: "DROP TABLE counted_labels")
            try db.execute(sql: "DELETE FROM grdb_migrations WHERE identifier = '2-fair-rounds'")
            try db.execute(
                sql: "INSERT INTO version_report VALUES (?, 'A', 'refused', 7, 0.5, 0.75, 3)",
                arguments: [round.base.id.hex])
        }
        try store.pool.close()
        let again = try HubStore(directory: directory)
        #expect(try again.round(round.number)?.cohort == ["A", "B"])
        #expect(try again.reports(package: package).first?.report.liveAUC == 0.75)
        let (bytes, manifest) = delta(1, in: round)
        let complete = try again.appendToDelta(
            try again.beginDelta(manifest, from: "A", atMilliseconds: 4), bytes, atMilliseconds: 5)
        #expect(try again.acceptDelta(complete, atMilliseconds: 6) == nil)
        #expect(try again.cohortLabels(round: round.number).isEmpty)
        try again.verifyAudit()
    }

    @Test func `a delta that is kept out does not count, and its site is remembered`() throws {
        let (store, round) = try storeWithRound()
        let (bytes, manifest) = delta(1, in: round)
        let complete = try store.appendToDelta(
            try store.beginDelta(manifest, from: "A", atMilliseconds: 4), bytes, atMilliseconds: 5)
        #expect(try store.acceptDelta(complete, atMilliseconds: 6) == nil)
        let fault = OutOfLine(screen: .norm, tensor: "head.bias", found: 30, bound: 0.5)
        try store.keepOut(["A": fault], round: round.number, atMilliseconds: 7)
        let after = try #require(try store.round(round.number))
        #expect(after.contributions.isEmpty && after.outOfLine == ["A"])
        #expect(try store.delta(round: round.number, site: "A", hash: manifest.hash)?.refusal == .outOfLine)
        #expect(try store.outOfLine(round: round.number)["A"] == fault.description)
        let entry = try #require(try store.newestAuditEntries(limit: 1).first)
        #expect(entry.detail["found"] == "30.0" && entry.detail["tensor"] == "head.bias")
    }

    @Test func `the hub leaves a version that most sites refuse, and an operator goes back`() throws {
        let (store, round) = try storeWithRound()
        let package = round.base.package
        _ = try store.beginAggregation(round.number)
        let second = try #require(
            try store.closeRound(
                round.number, parameters: Hash(of: Data("new".utf8)), parametersBytes: 3, atMilliseconds: 9))
        func report(_ site: String, _ decision: VersionReport.Decision) throws {
            _ = try store.recordReport(
                VersionReport(
                    version: second.version.id, decision: decision, heldOutLabels: 9, candidateAUC: nil, liveAUC: nil),
                from: site, atMilliseconds: 10)
        }
        try report("A", .refused)
        #expect(try store.leaveRefusedVersion(package: package, quorum: 2, atMilliseconds: 11) == nil)
        let open = try #require(
            try store.openRound(package: package, cohort: ["A"], settings: RoundSettings(), atMilliseconds: 11))
        try report("B", .refused)
        #expect(try store.leaveRefusedVersion(package: package, quorum: 2, atMilliseconds: 12)?.number == 0)
        #expect(try store.models()[0].current.version == round.base)
        #expect(try store.round(open.number)?.state == .void)
        #expect(throws: HubStoreError.refusedVersion(number: 1, refused: 2, decided: 2)) {
            try store.rollBack(model: "test-model", to: "1", quorum: 2, atMilliseconds: 13)
        }
        try report("B", .live)
        #expect(try store.rollBack(model: "test-model", to: "1", quorum: 2, atMilliseconds: 14) == second)
        #expect(try store.rollBack(model: "test-model", to: nil, quorum: 2, atMilliseconds: 15).number == 0)
        #expect(throws: HubStoreError.self) {
            try store.rollBack(model: "test-model", to: nil, quorum: 2, atMilliseconds: 16)
        }
        #expect(throws: HubStoreError.noModel("other")) {
            try store.rollBack(model: "other", to: nil, quorum: 2, atMilliseconds: 16)
        }
    }
}
