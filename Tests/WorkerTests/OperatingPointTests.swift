// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Statistics
import Testing
import Triage
import WorkerStore

@testable import WorkerService

/// Thresholds of the site, figures on held-out labels, and the flags that use them.
@Suite struct OperatingPointTests {
    private let folder: TemporaryFolder
    private let clock = VirtualClock()
    private let live = version("one")
    private let desk: Desk
    private let room: ValidationRoom

    init() throws {
        folder = try TemporaryFolder()
        try WorkerStore(directory: folder.url).addModel(manifest(), live)
        desk = try Desk(folder.url, clock: clock) { $0.heldOutShare = 1 }
        room = try ValidationRoom(
            store: desk.store, shelf: desk.shelf, models: desk.models, figures: desk.figures,
            board: StatusBoard(isFederated: false), timepiece: clock.timepiece, log: desk.log)
    }

    /// A study of one instance, flagged finally.
    private func flag(_ study: String, _ probability: Float, gateway: String = "g") throws -> Flag {
        desk.turn(.reading(try desk.scored(study, "\(study).1", probability, gateway: gateway)))
        desk.wait(2000)
        return try #require(desk.flags().last)
    }

    private func choose(_ threshold: Double?, _ origin: OperatingPointRow.Origin = .calibrated) throws {
        try desk.store.write {
            try $0.add(
                OperatingPointRow(
                    version: live, finding: "bleed", origin: origin, threshold: threshold,
                    goal: .sensitivity(0.95), minimumPerClass: 1, positives: 1, negatives: 1, by: "admin", at: 1))
        }
        try room.look(isRung: false)
    }

    @Test func `A flag says whose threshold it is and has no figures without labels`() throws {
        let finding = try flag("1.1", 0.6).findings[0]
        #expect(finding.operatingPoint == .package && finding.threshold == 0.5 && finding.validation == nil)
    }

    @Test func `The next study is flagged from the site's threshold on, what was told before stays`() throws {
        #expect(try flag("1.1", 0.6).findings[0].positive)
        try choose(0.7)
        let next = try flag("1.2", 0.6).findings[0]
        #expect(!next.positive && next.threshold == 0.7 && next.operatingPoint == .site)
        // A late instance of the first study: still the threshold that it was told by.
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.1)))
        desk.wait(2000)
        let again = try #require(desk.flags().last)
        #expect(again.revision == 3 && again.findings[0].threshold == 0.5 && again.findings[0].positive)
        #expect(again.findings[0].operatingPoint == .package)
        try choose(nil, .reset)
        let last = try flag("1.3", 0.6).findings[0]
        #expect(last.positive && last.threshold == 0.5 && last.operatingPoint == .package)
        try desk.store.verifyAudit()
    }

    @Test func `A study that is arriving keeps the threshold that it was begun with`() throws {
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        try choose(0.05)
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.2)))
        desk.wait(2000)
        #expect(desk.flags().map { $0.findings[0].threshold } == [0.5])
    }

    @Test func `Held-out labels become figures on the next flag, at the threshold that counts`() throws {
        for (index, probability) in [0.9, 0.6, 0.2, 0.1].enumerated() {
            _ = try flag("1.\(index)", Float(probability))
            try desk.store.addLabel("1.\(index)", isPresent: index != 1)
        }
        try room.look(isRung: false)
        let validation = try #require(try flag("2.1", 0.1).findings[0].validation)
        #expect(validation.labels == 4 && validation.positives == 3 && validation.calibrationLabels == nil)
        #expect(abs((validation.sensitivity?.value ?? 0) - 1.0 / 3) < 1e-9)
        #expect(validation.specificity?.value == 0)
        #expect(validation.areaUnderCurve?.value == 1.0 / 3)
        // A lower threshold finds all; a label that is corrected counts as corrected.
        try desk.store.addLabel("1.3", isPresent: false, at: 2)
        try choose(0.15)
        let later = try #require(try flag("2.2", 0.1).findings[0].validation)
        #expect(later.labels == 4 && later.positives == 2 && later.calibrationLabels == 2)
        #expect(later.sensitivity?.value == 1 && later.specificity?.value == 0.5)
        let interval = try #require(Proportion(2, of: 2)).interval
        #expect(later.sensitivity?.low == interval.lowerBound && later.sensitivity?.high == 1)
    }

    @Test func `Figures are there again after a restart, and their time stands until they change`() throws {
        _ = try flag("1.1", 0.9)
        try desk.store.addLabel("1.1", isPresent: true)
        try room.look(isRung: false)
        let before = desk.figures.row(version: live.id, finding: "bleed")
        clock.advance(100_000)
        try room.look(isRung: true)
        #expect(before != nil && desk.figures.row(version: live.id, finding: "bleed") == before)
        let figures = SiteFigures()
        _ = try ValidationRoom(
            store: desk.store, shelf: desk.shelf, models: desk.models, figures: figures,
            board: StatusBoard(isFederated: false), timepiece: clock.timepiece, log: desk.log)
        #expect(figures.row(version: live.id, finding: "bleed") == before)
    }

    @Test func `A study at two gateways counts once, and a patient that is trained on not at all`() throws {
        for gateway in ["a", "b"] {
            desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.9, gateway: gateway)))
            desk.wait(2000)
            try desk.store.write {
                try $0.add(
                    Label(
                        study: StudyKey(gateway: gateway, studyInstanceUID: "1.1"), finding: "bleed", isPresent: true,
                        source: .sheet, reader: "", role: "", at: 1))
            }
        }
        let studies = try desk.store.read { try $0.heldOutStudies(version: live.id) }
        #expect(studies["bleed"]?.count == 1)
        let trained = try Desk(try TemporaryFolder().url, clock: clock)
        try trained.store.addModel(manifest(), live)
        try trained.shelf.refresh()
        trained.turn(.reading(try trained.scored("1.1", "1.1.1", 0.9)))
        trained.wait(2000)
        try trained.store.addLabel("1.1", isPresent: true)
        #expect(try trained.store.read { try $0.heldOutStudies(version: live.id) }.isEmpty)
    }

    // MARK: A database that was lost

    /// The database's files are gone; the rest of the state folder stays.
    private func storeAfterLoss() throws -> WorkerStore {
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(at: folder.url.appending(path: "worker.sqlite\(suffix)"))
        }
        return try WorkerStore(directory: folder.url)
    }

    @Test func `A fresh database has the site's thresholds again, once, with an audit entry`() throws {
        try choose(0.6)
        try choose(0.7)
        let before = try desk.store.read { try $0.operatingPointHistory(package: live.package) }
        let store = try storeAfterLoss()
        #expect(try store.recoverOperatingPoints() == 2)
        #expect(try store.recoverOperatingPoints() == 0)
        #expect(try store.read { try $0.operatingPointHistory(package: live.package) } == before)
        try store.verifyAudit()
        try store.addModel(manifest(), live)
        let models = LiveModels()
        let shelf = ModelShelf(store: store, models: models, log: desk.log, timepiece: clock.timepiece)
        try shelf.refresh()
        let model = try #require(models.all.first)
        #expect(model.manifest.findings[0].threshold == 0.7 && model.siteFindings == ["bleed"])
    }

    @Test func `What an older database lacks is added to what it has`() throws {
        try choose(0.6)
        let copy = folder.url.appending(path: "operating-points.json")
        let older = try Data(contentsOf: copy)
        try choose(nil, .reset)
        #expect(try Data(contentsOf: copy) != older)
        let store = try storeAfterLoss()
        try store.write {
            try $0.add(
                OperatingPointRow(
                    version: live, finding: "bleed", origin: .calibrated, threshold: 0.6, goal: .sensitivity(0.95),
                    minimumPerClass: 1, positives: 1, negatives: 1, by: "admin", at: 1))
        }
        #expect(try store.recoverOperatingPoints() == 1)
        #expect(try store.read { try $0.operatingPoints(live)["bleed"]?.origin } == .reset)
    }

    @Test func `A copy that cannot be read is set aside and said`() throws {
        try choose(0.7)
        try Data("[{".utf8).write(to: folder.url.appending(path: "operating-points.json"))
        let store = try storeAfterLoss()
        let error = #expect(throws: OperatingPointsError.self) { try store.recoverOperatingPoints() }
        let aside = try #require(error?.path)
        #expect(aside.contains("operating-points.json.damaged-") && FileManager.default.fileExists(atPath: aside))
        #expect(try store.recoverOperatingPoints() == 0)
    }

    @Test func `A version that goes live in place of a lost one says that it lacks the site's threshold`() throws {
        try choose(0.7)
        let store = try storeAfterLoss()
        try store.recoverOperatingPoints()
        let own = version("own")
        try store.addModel(manifest(), own)
        let lost = try store.write { try $0.loseOperatingPoints(ofOthersThan: own, at: 5) }
        #expect(lost.map(\.finding) == ["bleed"] && lost[0].reason.contains(live.id.short))
        #expect(try store.read { try $0.operatingPoints(own)["bleed"] } == lost[0])
        #expect(try store.write { try $0.loseOperatingPoints(ofOthersThan: live, at: 6) }.isEmpty)
    }

    @Test func `Flags from before there were figures are read as they are`() throws {
        let flag = try flag("1.1", 0.6)
        var object = try #require(JSONSerialization.jsonObject(with: JSONEncoder().encode(flag)) as? [String: Any])
        var findings = try #require(object["findings"] as? [[String: Any]])
        findings[0]["operating_point"] = nil
        object["findings"] = findings
        let old = try JSONDecoder().decode(Flag.self, from: JSONSerialization.data(withJSONObject: object))
        #expect(old.findings[0].operatingPoint == nil && old.findings[0].probability == flag.findings[0].probability)
    }
}
