// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing
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
        _ id: String, _ verdict: String, positive: Bool, finding: String = "bleed", study: String = "1.1", at: Int = 5
    ) -> DeskEvent {
        let json =
            #"{"review":"\#(id)","study":"\#(study)","finding":"\#(finding)","verdict":"\#(verdict)","reviewer":"dr","#
            + #""role":"radiologist","at_ms":\#(at),"model_version":"00","positive":\#(positive)}"#
        return .review(gateway: "g", id: id, document: Data(json.utf8))
    }

    private func label() throws -> Bool? { try desk.store.read { try $0.currentLabel("1.1", finding: "bleed") } }

    @Test(arguments: [
        ("agree", true, true), ("agree", false, false), ("disagree", true, false), ("disagree", false, true),
    ])
    func `A verdict about a flag says whether the finding is there`(verdict: String, positive: Bool, present: Bool)
        throws
    {
        desk.turn(review("r1", verdict, positive: positive))
        let answers = desk.sent().map(\.message)
        #expect(answers.count == 1)
        guard case .reviewAck("r1", true, "", _) = answers.first else {
            Issue.record("not accepted")
            return
        }
        #expect(try label() == present)
    }

    @Test func `A repeated review gets the same answer and adds no second label`() throws {
        for _ in 0..<3 { desk.turn(review("r1", "agree", positive: true)) }
        #expect(desk.sent().count == 3)
        #expect(try desk.store.read { try $0.labelHistory("1.1").count } == 1)
    }

    @Test func `A later review replaces an earlier one`() throws {
        desk.turn(review("r1", "agree", positive: true, at: 5), review("r2", "disagree", positive: true, at: 6))
        #expect(try label() == false)
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
