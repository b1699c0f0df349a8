// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Foundation
import GRDB
import Testing
import Triage
import Wire
import WorkerStore

@testable import WorkerService

@Suite struct ReviewTests {
    private let folder: TemporaryFolder
    private let desk: Desk

    init() throws {
        folder = try TemporaryFolder()
        try WorkerStore(directory: folder.url).addModel(manifest(), version("one"))
        desk = try Desk(folder.url, clock: VirtualClock())
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.9)))
        _ = desk.sent()
    }

    private func review(
        _ id: String, _ verdict: String, positive: Bool, finding: String = "bleed", study: String = "1.1", at: Int = 5,
        reviewer: String = "dr", role: String = "radiologist"
    ) -> DeskEvent {
        let json =
            #"{"review":"\#(id)","study":"\#(study)","finding":"\#(finding)","verdict":"\#(verdict)","reviewer":"\#(reviewer)","#
            + #""role":"\#(role)","at_ms":\#(at),"model_version":"00","positive":\#(positive)}"#
        return .review(gateway: "g", id: id, document: Data(json.utf8))
    }

    /// What was answered to reviews since the last look.
    private func answers() -> [ToGateway] {
        desk.sent().map(\.message).filter { if case .reviewAck = $0 { true } else { false } }
    }

    private func label() throws -> Bool? { try desk.store.read { try $0.currentLabel("1.1", finding: "bleed") } }

    @Test(arguments: [
        ("agree", true, true), ("agree", false, false), ("disagree", true, false), ("disagree", false, true),
    ])
    func `A verdict about a flag says whether the finding is there`(verdict: String, positive: Bool, present: Bool)
        throws
    {
        desk.turn(review("r1", verdict, positive: positive))
        let answers = self.answers()
        #expect(answers.count == 1)
        guard case .reviewAck("r1", true, "", _) = answers.first else {
            Issue.record("not accepted")
            return
        }
        #expect(try label() == present)
    }

    @Test func `A repeated review gets the same answer and adds no second label`() throws {
        for _ in 0..<3 { desk.turn(review("r1", "agree", positive: true)) }
        #expect(answers().count == 3)
        #expect(try desk.store.read { try $0.labelHistory("1.1").count } == 1)
    }

    @Test func `A later review replaces an earlier one`() throws {
        desk.turn(review("r1", "agree", positive: true, at: 5), review("r2", "disagree", positive: true, at: 6))
        #expect(try label() == false)
    }

    @Test func `Who takes back a verdict lets what was said before count again`() throws {
        desk.turn(review("r1", "agree", positive: true, at: 5), review("r2", "disagree", positive: true, at: 6))
        desk.turn(review("r3", "withdraw", positive: true, at: 7))
        #expect(answers().count == 3)
        #expect(try label() == true)
        #expect(try desk.store.read { try $0.labelHistory("1.1") }.map(\.withdrawnAt) == [nil, 7])
        for _ in 0..<2 { desk.turn(review("r4", "withdraw", positive: true, at: 8)) }
        #expect(try label() == nil)
        #expect(answers().count == 2)
    }

    @Test func `There is nothing to take back of what others said, or was said later`() throws {
        desk.turn(review("r1", "agree", positive: true, at: 5, reviewer: "other"))
        desk.turn(review("r2", "agree", positive: true, at: 9))
        _ = desk.sent()
        desk.turn(review("r3", "withdraw", positive: true, at: 7))
        guard case .reviewAck("r3", false, let reason, _) = answers().first else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("nothing"))
        #expect(try desk.store.read { try $0.labelHistory("1.1") }.allSatisfy { $0.withdrawnAt == nil })
    }

    @Test func `Another role counts while no radiologist has spoken`() throws {
        desk.turn(review("r1", "agree", positive: true, at: 9, role: "technologist"))
        #expect(try label() == true)
        desk.turn(review("r2", "disagree", positive: true, at: 5))
        #expect(try label() == false)
    }

    @Test(arguments: ["unauthenticated", "Unauthenticated", ""])
    func `Who is not authenticated has never the last word, and takes back nobody else's`(role: String) throws {
        desk.turn(review("r1", "agree", positive: true, at: 5))
        desk.turn(review("r2", "disagree", positive: true, at: 6, role: role))
        #expect(try label() == true)
        #expect(try desk.store.read { try $0.labelHistory("1.1") }.map(\.isAuthoritative) == [true, false])
        if !role.isEmpty {
            desk.turn(review("r3", "withdraw", positive: true, at: 7, role: role))
            #expect(try desk.store.read { try $0.labelHistory("1.1") }.map(\.withdrawnAt) == [nil, 7])
            desk.turn(review("r4", "withdraw", positive: true, at: 8, role: role))
            #expect(try label() == true)
        }
    }

    @Test func `The audit log names account, role and finding, and the study by its hash`() throws {
        desk.turn(review("r1", "agree", positive: true, at: 5, reviewer: "dr.noor"))
        desk.turn(review("r2", "withdraw", positive: true, at: 7, reviewer: "dr.noor"))
        let database = try DatabaseQueue(path: folder.url.appending(path: "worker.sqlite").path)
        let entries = try database.read { try AuditLog.newest($0, limit: 2) }
        #expect(entries.map(\.event) == ["label-withdrawn", "label-added"])
        // printf 1.1 | sha256sum
        let study = "b05e244762b1e472be89a93800cc3ee326743cecb55984bf12813addb8de66d0"
        for entry in entries {
            #expect(entry.detail["account"] == "dr.noor" && entry.detail["role"] == "radiologist")
            #expect(entry.detail["finding"] == "bleed" && entry.detail["present"] == "yes")
            #expect(entry.detail["study"] == study && entry.detail["authoritative"] == "yes")
        }
    }

    @Test func `A review nested too deep is refused and ends nothing`() throws {
        for depth in [100, 511, 513, 30_000] {
            let json = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            desk.turn(.review(gateway: "g", id: "deep-\(depth)", document: Data(json.utf8)))
        }
        #expect(answers().count == 4)
        #expect(try label() == nil)
    }

    @Test func `A flag tells what was said about it in a new revision of the same state`() throws {
        desk.turn(review("r1", "agree", positive: true, at: 5), review("r2", "disagree", positive: true, at: 6))
        let flags = desk.flags()
        #expect(flags.map(\.state) == [.preliminary])
        #expect(flags.map(\.revision) == [2])
        let statements = try #require(flags.first?.findings.first?.statements)
        #expect(statements.map(\.present) == [true, false])
        #expect(statements.map(\.current) == [false, true])
        #expect(statements.first?.source == "review" && statements.first?.reader == "dr")
        desk.turn(review("r3", "withdraw", positive: true, at: 7))
        let withdrawn = try #require(desk.flags().first?.findings.first?.statements)
        #expect(withdrawn.map(\.withdrawn) == [false, true] && withdrawn.map(\.current) == [true, false])
        // The final flag, and one that a late instance revises, say it too.
        desk.wait(10_000)
        #expect(desk.flags().last?.findings.first?.statements == withdrawn)
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.1)))
        desk.wait(10_000)
        #expect(desk.flags().last?.findings.first?.statements == withdrawn)
    }

    @Test func `A final flag tells what another process said, without a new report`() throws {
        desk.wait(10_000)
        let told = try #require(desk.flags().last)
        try desk.store.addLabel("1.1", isPresent: false, at: 3)
        desk.wait(1000)
        let flags = desk.flags()
        #expect(flags.map(\.state) == [.final] && flags.map(\.revision) == [told.revision + 1])
        #expect(flags.first?.decidedAt == told.decidedAt)
        #expect(flags.first?.findings.first?.statements?.count == 1)
        desk.wait(1000)
        #expect(desk.flags().isEmpty)
    }

    @Test func `Of many statements the last are told, and always the one that counts`() throws {
        desk.turn(review("r0", "agree", positive: true, at: 1))
        for at in 2..<40 { desk.turn(review("r\(at)", "disagree", positive: true, at: at, role: "student")) }
        let statements = try #require(desk.flags().last?.findings.first?.statements)
        #expect(statements.count == FindingResult.mostStatements)
        #expect(statements.map(\.current) == [true] + [Bool](repeating: false, count: statements.count - 1))
        #expect(statements.last?.at == 39)
    }

    @Test func `A review of an unknown study or finding is refused with the reason, also when repeated`() throws {
        for _ in 0..<2 {
            desk.turn(review("r1", "agree", positive: true, study: "9.9"))
            guard case .reviewAck("r1", false, let reason, _) = desk.sent().first?.message else {
                Issue.record("no refusal")
                return
            }
            #expect(reason.hasPrefix(ToGateway.unknownStudy))
        }
        desk.turn(review("r2", "agree", positive: true, finding: "fracture"))
        guard case .reviewAck("r2", false, let reason, _) = desk.sent().first?.message else {
            Issue.record("no refusal")
            return
        }
        #expect(reason.contains("bleed"))
    }

    @Test(arguments: [
        "", "{", #"{"review":"r1"}"#,
        #"{"review":"r1","study":"1.1","finding":"bleed","verdict":"perhaps","reviewer":"","at_ms":1,"positive":true}"#,
    ])
    func `A review that cannot be read is refused and not asked for again`(json: String) throws {
        desk.turn(.review(gateway: "g", id: "r1", document: Data(json.utf8)))
        guard case .reviewAck("r1", false, let reason, _) = desk.sent().first?.message else {
            Issue.record("no refusal")
            return
        }
        #expect(!reason.isEmpty)
        #expect(try label() == nil)
    }
}
