// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@testable import Statements

@Suite struct ReportDocumentTests {
    private typealias Item = ReportDocument.Item

    private let map = CodeMap.standard.adding([
        Finding(
            name: "bleed", title: "Bleed", code: .init(scheme: "SCT", value: "1386000", meaning: "Haemorrhage"),
            threshold: 0.5, urgency: .critical)
    ])
    private let bleed = Finding.Code(scheme: "SCT", value: "1386000", meaning: "Haemorrhage")
    private let finding = dcm("121071")
    private let absent = Finding.Code(scheme: "SCT", value: "2667000", meaning: "Absent")
    private let received: Int64 = 1_800_000_000_000

    private static func dcm(_ value: String, _ meaning: String = "") -> Finding.Code {
        Finding.Code(scheme: "DCM", value: value, meaning: meaning)
    }

    private func report(_ items: [Item], _ adjust: (inout ReportDocument) -> Void = { _ in }) -> DocumentStatement {
        var document = ReportDocument()
        document.completion = "COMPLETE"
        document.verification = "VERIFIED"
        document.verifier = "Reader^One"
        document.verifiedAt = "20260102030405"
        document.items = [Item(parent: nil, type: "CONTAINER", name: Self.dcm("121070"))] + items
        adjust(&document)
        return document.statement(.report, by: map, zone: .gmt, receivedAt: received)
    }

    @Test func `A finding in a signed report is there`() {
        let statement = report([Item(parent: 0, type: "CODE", name: finding, code: bleed)])
        #expect(statement.findings == ["bleed": true])
        #expect(statement.isAuthoritative && statement.reader == "Reader^One")
        #expect(statement.at == 1_767_323_045_000)
    }

    @Test func `A presence below the finding, or beside the only one of a group, answers it`() {
        let below = report([
            Item(parent: 0, type: "CODE", name: finding, code: bleed),
            Item(parent: 1, type: "CODE", name: Self.dcm("121052"), code: absent),
        ])
        #expect(below.findings == ["bleed": false])
        let beside = report([
            Item(parent: 0, type: "CONTAINER", name: Self.dcm("125007")),
            Item(parent: 1, type: "CODE", name: finding, code: bleed),
            Item(parent: 1, type: "CODE", name: Self.dcm("121052"), code: absent),
        ])
        #expect(beside.findings == ["bleed": false])
    }

    @Test func `What is absent of something else says nothing about the finding`() {
        let statement = report([
            Item(parent: 0, type: "CODE", name: finding, code: bleed),
            Item(parent: 1, type: "CODE", name: Self.dcm("121401"), code: absent),
        ])
        #expect(statement.findings == ["bleed": true])
        let two = report([
            Item(parent: 0, type: "CODE", name: finding, code: bleed),
            Item(parent: 0, type: "CODE", name: finding, code: Self.dcm("1")),
            Item(parent: 0, type: "CODE", name: Self.dcm("121052"), code: absent),
        ])
        #expect(two.findings == ["bleed": true])
    }

    @Test func `A question is answered by its value`() {
        #expect(report([Item(parent: 0, type: "CODE", name: bleed, code: absent)]).findings == ["bleed": false])
        #expect(
            report([Item(parent: 0, type: "CODE", name: bleed, code: Self.dcm("121053"))]).findings == ["bleed": true])
        #expect(report([Item(parent: 0, type: "CODE", name: bleed, code: Self.dcm("121059"))]).isEmpty)
    }

    @Test func `There in one place and absent in another is there`() {
        let statement = report([
            Item(parent: 0, type: "CODE", name: bleed, code: absent),
            Item(parent: 0, type: "CODE", name: finding, code: bleed),
        ])
        #expect(statement.findings == ["bleed": true])
    }

    @Test(arguments: ["121060", "121062", "121068", "121109"])
    func `What was asked, or found before, is no finding of this study`(heading: String) {
        let statement = report([
            Item(parent: 0, type: "CONTAINER", name: Self.dcm(heading)),
            Item(parent: 1, type: "CONTAINER", name: Self.dcm("121070")),
            Item(parent: 2, type: "CODE", name: finding, code: bleed),
            Item(parent: 1, type: "CODE", name: bleed, code: absent),
        ])
        #expect(statement.isEmpty)
    }

    @Test func `A code under another name is no finding`() {
        #expect(report([Item(parent: 0, type: "CODE", name: Self.dcm("121058"), code: bleed)]).isEmpty)
    }

    @Test func `Without a signature, or before the end, a report is not authoritative`() {
        let item = Item(parent: 0, type: "CODE", name: finding, code: bleed)
        #expect(!report([item]) { $0.verification = "UNVERIFIED" }.isAuthoritative)
        #expect(!report([item]) { $0.completion = "PARTIAL" }.isAuthoritative)
        #expect(!report([item]) { $0.preliminary = "PRELIMINARY" }.isAuthoritative)
    }

    @Test func `What only a device says is no statement of the department`() {
        let items = [
            Item(parent: 0, type: "CODE", name: Self.dcm("121005"), code: Self.dcm("121007")),
            Item(parent: 0, type: "CODE", name: finding, code: bleed),
        ]
        #expect(report(items) { $0.verification = "UNVERIFIED" }.isEmpty)
        #expect(report(items).findings == ["bleed": true])
        let person = Item(parent: 0, type: "PNAME", name: Self.dcm("121008"), person: "Reader^Two")
        let both = report([person] + items) { $0.verification = "UNVERIFIED" }
        #expect(both.findings == ["bleed": true] && both.reader == "Reader^Two")
    }

    @Test func `The time is that of the signature, in the document's zone, and never in the future`() {
        let item = Item(parent: 0, type: "CODE", name: finding, code: bleed)
        #expect(report([item]) { $0.zone = "+0100" }.at == 1_767_319_445_000)
        #expect(report([item]) { $0.verifiedAt = "21000101" }.at == received)
        let content = report([item]) {
            $0.verification = "UNVERIFIED"
            $0.date = "20260102"
            $0.time = "030405.5"
        }
        #expect(content.at == 1_767_323_045_500)
    }

    @Test func `Parents that make no sense are no parents`() {
        let items = [
            Item(parent: 7, type: "CODE", name: finding, code: bleed),
            Item(parent: -3, type: "CODE", name: Self.dcm("121052"), code: absent),
            Item(parent: 3, type: "CODE", name: finding, code: bleed),
        ]
        #expect(report(items).findings == ["bleed": true])
        #expect(report([]) { $0.items = [] }.isEmpty)
    }

    @Test func `A key object selection speaks by its title`() throws {
        var document = ReportDocument()
        document.items = [
            Item(parent: nil, type: "CONTAINER", name: Self.dcm("113001", "Rejected for Quality Reasons")),
            Item(parent: 0, type: "PNAME", name: Self.dcm("121008"), person: "Reader^Three"),
            Item(parent: 0, type: "CODE", name: Self.dcm("121011"), code: Self.dcm("121083", "Technologist")),
        ]
        let rejected = document.statement(.keyObjects, by: map, zone: .gmt, receivedAt: received)
        #expect(rejected.rejection == "Rejected for Quality Reasons" && rejected.findings.isEmpty)
        var configured = map
        configured.titles[CodeKey(scheme: "DCM", value: "113008")] = .finding("bleed", isPresent: false)
        document.items[0].name = Self.dcm("113008", "For Peer Review")
        let review = document.statement(.keyObjects, by: configured, zone: .gmt, receivedAt: received)
        #expect(review.findings == ["bleed": false] && review.role == "technologist" && !review.isAuthoritative)
        #expect(document.statement(.keyObjects, by: map, zone: .gmt, receivedAt: received).isEmpty)
    }
}
