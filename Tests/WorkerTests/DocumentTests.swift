// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Statements
import Testing
import Triage
import Wire
import WorkerStore

@testable import WorkerService

/// Reports and key object selections that come by C-STORE.
@Suite struct DocumentTests {
    private let folder: TemporaryFolder
    private let clock = VirtualClock()
    private let desk: Desk
    private static let code = Finding.Code(scheme: "SCT", value: "1386000", meaning: "Haemorrhage")

    init() throws {
        folder = try TemporaryFolder()
        var manifest = manifest()
        manifest.findings[0].code = Self.code
        try WorkerStore(directory: folder.url).addModel(manifest, version("one"))
        desk = try Desk(folder.url, clock: clock)
    }

    private func report(
        _ isPresent: Bool = true, verified: Bool = true, studies: [String] = ["1.1"], predecessors: [String] = []
    ) -> ReportDocument {
        var document = ReportDocument()
        document.completion = "COMPLETE"
        document.verification = verified ? "VERIFIED" : "UNVERIFIED"
        document.verifier = "Reader^One"
        document.studies = studies
        document.predecessors = predecessors
        document.items = [
            .init(parent: nil, type: "CONTAINER"),
            .init(
                parent: 0, type: "CODE", name: Self.code,
                code: .init(scheme: "DCM", value: isPresent ? "121053" : "121054", meaning: "")),
        ]
        return document
    }

    private func rejection() -> ReportDocument {
        var document = ReportDocument()
        document.studies = ["1.1"]
        document.items = [
            .init(
                parent: nil, type: "CONTAINER",
                name: .init(scheme: "DCM", value: "113001", meaning: "Rejected for Quality Reasons"))
        ]
        return document
    }

    private func send(_ document: ReportDocument, _ sop: String, _ kind: DocumentKind = .report, study: String = "1.1")
    {
        desk.turn(.reading(desk.reading(study, sop, .document(document, kind))))
    }

    /// How the last instances were acknowledged.
    private func outcomes() -> [ToGateway.Outcome] {
        desk.acks().compactMap { if case .ack(_, _, let outcome, _, _, _) = $0 { outcome } else { nil } }
    }

    private func scan(_ study: String = "1.1") throws {
        desk.turn(.reading(try desk.scored(study, study + ".1", 0.9)))
        desk.wait(10_000)
    }

    private func label(_ study: String = "1.1") throws -> Bool? {
        try desk.store.read { try $0.currentLabel(StudyKey(stringLiteral: study), finding: "bleed") }
    }

    private func history() throws -> [Label] { try desk.store.read { try $0.labelHistory("1.1") } }

    @Test func `A report about a study is a label, a repeat is none`() throws {
        try scan()
        _ = desk.sent()
        for _ in 0..<2 { send(report(false), "9.1") }
        #expect(outcomes() == [.labelled, .labelled])
        #expect(try label() == false)
        let labels = try history()
        #expect(labels.count == 1)
        #expect(labels.first?.source == .report && labels.first?.reader == "Reader^One")
        #expect(labels.first?.isAuthoritative == true && labels.first?.document == "9.1")
    }

    @Test func `A report that comes before its study waits for it, also over a restart`() throws {
        send(report(), "9.1")
        #expect(outcomes() == [.labelled])
        #expect(try desk.store.read { try $0.study("1.1") } == nil)
        #expect(try desk.store.read { try $0.documentCounts() } == ["waiting": 1])
        let second = try Desk(folder.url, clock: clock)
        second.turn(.reading(try second.scored("1.1", "1.1.1", 0.9)))
        #expect(try second.store.read { try $0.currentLabel("1.1", finding: "bleed") } == true)
        #expect(try second.store.read { try $0.documentCounts() } == ["taken": 1])
        #expect(second.flags().last?.findings.first?.statements?.map(\.source) == ["report"])
        // The study's header is that of its images.
        #expect(try second.store.read { try $0.study("1.1") }?.header.modality == "CT")
    }

    @Test func `What waits too long for its study is let go and counted`() throws {
        send(report(), "9.1")
        clock.advance(31 * 86_400_000)
        send(report(studies: ["1.2"]), "9.2")
        #expect(try desk.store.read { try $0.documentCounts() } == ["dropped": 1, "waiting": 1])
        try scan()
        #expect(try history().isEmpty)
    }

    @Test func `A document speaks of the studies of its evidence, else of its own`() throws {
        for study in ["1.1", "1.2", "1.3"] { try scan(study) }
        send(report(studies: ["1.1", "1.2"]), "9.1", study: "7.7")
        send(report(studies: []), "9.2", study: "1.3")
        #expect(try ["1.1", "1.2", "1.3"].map { try label($0) } == [true, true, true])
    }

    @Test func `A document neither reopens a study nor keeps it waiting`() throws {
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.9)))
        desk.wait(1500)
        send(report(), "9.1")
        desk.wait(600)
        #expect(desk.flags().last?.state == .final)
        _ = desk.sent()
        send(report(false), "9.2")
        let flags = desk.flags()
        #expect(flags.map(\.state) == [.final])
        #expect(flags.first?.instances.received == 1)
        desk.wait(10_000)
        #expect(desk.flags().isEmpty)
    }

    @Test func `The study's own count may include a document`() throws {
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.9, expected: 2)))
        for _ in 0..<2 { send(report(), "9.1") }
        #expect(desk.flags().last?.state == .final)
    }

    @Test func `A revised report takes the place of the one before, in whichever order they come`() throws {
        try scan()
        send(report(true), "9.1")
        send(report(false, predecessors: ["9.1"]), "9.2")
        #expect(try label() == false)
        #expect(try history().map { $0.withdrawnAt != nil } == [true, false])
        send(report(true, predecessors: ["9.3"]), "9.4")
        send(report(false), "9.3")
        #expect(try label() == true)
        #expect(try history().first { $0.document == "9.3" }?.withdrawnAt != nil)
    }

    @Test func `A draft does not take the place of a signed report`() throws {
        try scan()
        send(report(true), "9.1")
        send(report(false, verified: false, predecessors: ["9.1"]), "9.2")
        #expect(try label() == true)
        #expect(try history().allSatisfy { $0.withdrawnAt == nil })
    }

    @Test func `A revised report that says nothing any more takes back what was said`() throws {
        try scan()
        send(report(true), "9.1")
        var silent = report(predecessors: ["9.1"])
        silent.items.removeLast()
        send(silent, "9.2")
        #expect(outcomes() == [.scored, .labelled, .labelled])
        #expect(try label() == nil)
    }

    @Test func `Nothing is learned from a study whose images were rejected`() throws {
        try scan()
        try desk.store.addLabel("1.1", isPresent: true)
        let package = version("one").package.hex
        func counts() throws -> Int {
            try desk.store.read { try $0.labelCounts(package: package, findings: ["bleed"]).training }
        }
        #expect(try counts() == 1)
        send(rejection(), "9.1", .keyObjects)
        #expect(outcomes().last == .labelled)
        #expect(try counts() == 0)
        #expect(
            try desk.store.read { try $0.labelledExamples(package: package, findings: ["bleed"], heldOut: false) }
                .isEmpty)
        #expect(try desk.store.read { try $0.rejectedStudyCount() } == 1)
    }

    @Test func `A document about something else is ignored with the reason, and no study begins with it`() throws {
        var other = report()
        other.items.removeLast()
        send(other, "9.1")
        guard case .ack(_, _, .unlabelled, _, let reason, _) = desk.acks().first else {
            Issue.record("not ignored")
            return
        }
        #expect(reason.contains("no code in this report"))
        #expect(try desk.store.read { try $0.study("1.1") } == nil)
        #expect(try desk.store.read { try $0.documentCounts() }.isEmpty)
    }
}
