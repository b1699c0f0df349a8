// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing
import Triage
import Wire
import WorkerStore

@testable import WorkerService

@Suite struct StudyDeskTests {
    private let folder: TemporaryFolder
    private let clock = VirtualClock()
    private let live = version("one")
    private let gatewayBook = ReceiptBook(state: "gateway")

    init() throws {
        folder = try TemporaryFolder()
        try WorkerStore(directory: folder.url).addModel(manifest(), live)
    }

    private func desk(_ adjust: (inout WorkerSettings) -> Void = { _ in }) throws -> Desk {
        try Desk(folder.url, clock: clock, settings: adjust)
    }

    @Test func `A study gets its final flag after the quiet period`() throws {
        let desk = try desk()
        for number in 1...3 { desk.turn(.reading(try desk.scored("1.1", "1.1.\(number)", 0.1))) }
        desk.wait(1999)
        #expect(desk.flags().isEmpty)
        desk.wait(1)
        let flags = desk.flags()
        #expect(flags.count == 1)
        #expect(flags.first?.state == .final && flags.first?.revision == 1)
        #expect(flags.first?.instances == Flag.Counts(received: 3, scored: 3))
        #expect(flags.first?.urgency == Urgency.none)
        desk.wait(60_000)
        #expect(desk.flags().allSatisfy { $0.revision == 1 }, "only repeats until it is acknowledged")
    }

    @Test func `An instance is acknowledged after its commit and the flag is in the database before it is sent`() throws
    {
        let desk = try desk()
        let reading = try desk.scored("1.1", "1.1.1", 0.9)
        desk.turn(.reading(reading))
        #expect(
            desk.acks() == [
                .ack(
                    sequence: reading.arrival.sequence, instance: try #require(GatewayInstanceID("gw-1.1.1")),
                    outcome: .scored, studyInstanceUID: "1.1", reason: "",
                    receipt: try desk.lastReceipt())
            ])
        #expect(try desk.store.read { try $0.instance("1.1", "1.1.1")?.outcome } == .scored)
        #expect(desk.ledger.outstandingCount == 0)
    }

    @Test func `The first evidence above the threshold raises a preliminary flag once`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.2)))
        #expect(desk.flags().isEmpty)
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.8)))
        let flags = desk.flags()
        #expect(flags.map(\.state) == [.preliminary])
        #expect(flags.first?.urgency == .critical)
        #expect(flags.first?.findings.first?.evidence.first?.sopInstance == "1.1.2")
        desk.turn(.reading(try desk.scored("1.1", "1.1.3", 0.9)))
        #expect(desk.flags().isEmpty)
        desk.wait(2000)
        #expect(desk.flags().map(\.revision) == [2])
    }

    @Test func `A study that carries its count is final with the last instance, without a quiet period`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1, expected: 2)))
        #expect(desk.flags().isEmpty)
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.1, expected: 2)))
        #expect(desk.flags().map(\.state) == [.final])
    }

    @Test func `A flag says why its study counts as complete`() throws {
        let desk = try desk()
        func counts(_ expected: ExpectedCounts, _ study: String) throws {
            for number in 1...2 {
                desk.turn(.reading(try desk.scored(study, "\(study).\(number)", 0.1, counts: expected, series: "1")))
            }
        }
        try counts(ExpectedCounts(study: 2), "1.1")
        #expect(desk.flags().map(\.completeness) == [.expectedCount])
        try counts(ExpectedCounts(series: 2), "1.2")
        desk.wait(499)
        #expect(desk.flags().isEmpty)
        desk.wait(1)
        #expect(desk.flags().map(\.completeness) == [.seriesCount])
        try counts(ExpectedCounts(acquisition: 2, acquisitionNumber: 1), "1.3")
        desk.wait(500)
        #expect(desk.flags().map(\.completeness) == [.acquisitionCount])
        desk.turn(.reading(try desk.scored("1.4", "1.4.1", 0.9)))
        desk.wait(2000)
        #expect(desk.flags().map(\.completeness) == [nil, .quietPeriod])
    }

    @Test func `A count that was too low is revised by the instances that come after it, in one go`() throws {
        let desk = try desk()
        for number in 1...2 { desk.turn(.reading(try desk.scored("1.1", "1.1.\(number)", 0.1, expected: 2))) }
        #expect(desk.flags().map(\.completeness) == [.expectedCount])
        for number in 3...6 { desk.turn(.reading(try desk.scored("1.1", "1.1.\(number)", 0.1, expected: 2))) }
        #expect(desk.flags().isEmpty)
        desk.wait(2000)
        let flags = desk.flags()
        #expect(flags.map(\.completeness) == [.quietPeriod])
        #expect(flags.first?.revision == 2 && flags.first?.instances.scored == 6)
    }

    @Test func `A worker that starts again remembers how much of each series there should be`() throws {
        do {
            let desk = try desk()
            desk.turn(
                .reading(try desk.scored("1.1", "1.1.1", 0.1, counts: ExpectedCounts(series: 2), series: "1")),
                .reading(desk.reading("1.1", "1.1.2", .ignored(reason: "r"), counts: .init(series: 1), series: "2")))
        }
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.3", 0.1, counts: ExpectedCounts(series: 2), series: "1")))
        desk.wait(500)
        #expect(desk.flags().map(\.completeness) == [.seriesCount])
    }

    @Test func `The host's word makes a study final as soon as what came before it is worked off`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        let late = try desk.scored("1.1", "1.1.2", 0.1)
        desk.turn(.studyComplete(study: "1.1", mark: desk.ledger.mark("g")))
        #expect(desk.flags().isEmpty)
        desk.turn(.reading(late))
        desk.wait(0)
        #expect(desk.flags().first?.instances.scored == 2)
    }

    @Test func `A repeat is acknowledged and changes nothing, not even the quiet period`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        desk.wait(1500)
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.9)))
        #expect(desk.acks().count == 2)
        desk.wait(500)
        let flags = desk.flags()
        #expect(flags.map(\.state) == [.final])
        #expect(flags.first?.instances.received == 1)
        #expect(flags.first?.findings.first?.positive == false)
        desk.turn(.reading(desk.reading("1.1", "1.1.1", .repeated)))
        #expect(desk.acks().count == 1)
        desk.wait(5000)
        #expect(desk.flags().allSatisfy { $0.revision == 1 })
    }

    @Test func `A late instance revises the flag and does not make a second one`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        desk.wait(2000)
        let first = desk.flags()
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.2)))
        desk.wait(2000)
        let second = desk.flags()
        #expect(first.count == 1 && second.count == 1)
        #expect(second.first?.flag == first.first?.flag)
        #expect(second.first?.revision == 2 && second.first?.state == .final)
        #expect(second.first?.instances.scored == 2)
        #expect(try desk.store.read { try $0.flags("1.1").count } == 1)
        #expect(try desk.store.read { try $0.examples("1.1").map(\.slices) } == [2])
    }

    @Test func `A study with nothing scored gets no flag, its reasons are kept`() throws {
        let desk = try desk()
        desk.turn(
            .reading(desk.reading("1.1", "1.1.1", .setAside(name: "decode-failed", reason: "decode-failed: broken"))),
            .reading(desk.reading("1.1", "1.1.2", .ignored(reason: "no live model takes modality MR"))))
        #expect(
            desk.acks().map {
                guard case .ack(_, _, let outcome, let study, let reason, _) = $0 else { return "" }
                return "\(outcome) \(study) \(reason)"
            }
                == ["setAside 1.1 decode-failed: broken", "ignored 1.1 no live model takes modality MR"])
        desk.wait(10_000)
        #expect(desk.flags().isEmpty)
        #expect(try desk.store.read { try $0.setAsideCounts() } == ["decode-failed": 1])
    }

    @Test func `An unreadable instance is acknowledged as set aside`() throws {
        let desk = try desk()
        let arrival = desk.arrive("broken")
        let reading = InstanceReading(
            arrival: arrival, identity: nil, outcome: .setAside(name: "not-dicom", reason: "not-dicom: no preamble"))
        desk.turn(.reading(reading))
        #expect(desk.acks().count == 1)
        #expect(try desk.store.read { try $0.setAsideCounts() } == ["not-dicom": 1])
        #expect(desk.ledger.outstandingCount == 0)
    }

    @Test func `An instance that was set aside is scored when a good copy comes`() throws {
        let desk = try desk()
        desk.turn(.reading(desk.reading("1.1", "1.1.1", .setAside(name: "truncated", reason: "truncated"))))
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.7)))
        desk.wait(2000)
        #expect(desk.flags().last?.instances == Flag.Counts(received: 1, scored: 1))
    }

    @Test func `An open study is finished after a restart, with everything that was committed`() throws {
        do {
            let desk = try desk()
            desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.3)), .reading(try desk.scored("1.1", "1.1.2", 0.6)))
            #expect(desk.flags().map(\.revision) == [1])
        }
        let desk = try desk()
        desk.wait(1999)
        #expect(desk.flags().isEmpty)
        desk.wait(1)
        let flag = try #require(desk.flags().first)
        #expect(flag.state == .final && flag.revision == 2)
        #expect(flag.instances.scored == 2)
        #expect(abs((flag.findings.first?.probability ?? 0) - 0.6) < 1e-6)
        #expect(try desk.store.read { try $0.examples("1.1").map(\.state) } == [.ready])
    }

    @Test func `An instance that comes again after a restart is not scored twice`() throws {
        do { try desk().turn(.reading(try desk().scored("1.1", "1.1.1", 0.3))) }
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.3)), .reading(try desk.scored("1.1", "1.1.2", 0.3)))
        desk.wait(2000)
        let flag = desk.flags().first
        #expect(flag?.instances.received == 2)
        #expect(try desk.store.read { try $0.examples("1.1").map(\.slices) } == [2])
    }

    @Test func `A flag is sent again until it is acknowledged, also after a restart`() throws {
        do {
            let desk = try desk()
            desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
            desk.wait(2000)
            #expect(desk.flags().count == 1)
        }
        let desk = try desk()
        desk.hello(gatewayBook)
        let again = try #require(desk.flags().first)
        desk.wait(5000)
        #expect(desk.flags().map(\.revision) == [1])
        desk.acknowledge(again, receipt: Receipt(state: "gateway", serial: 1))
        desk.wait(5000)
        #expect(desk.flags().isEmpty)
    }

    @Test func `A gateway that sends an old study again, as after the loss of its database, gets the flag again`()
        throws
    {
        let desk = try desk()
        desk.hello(gatewayBook)
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        desk.wait(2000)
        let flag = try #require(desk.flags().first)
        desk.acknowledge(flag, receipt: Receipt(state: "gateway", serial: 1))
        desk.wait(60_000)
        #expect(desk.flags().isEmpty)
        for _ in 0..<3 { desk.turn(.reading(desk.reading("1.1", "1.1.1", .repeated))) }
        #expect(desk.flags() == [flag], "once, not for every instance")
    }

    @Test func `A study is read to its end by the version that began it`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        let next = version("two")
        try desk.store.write { try $0.save(VersionRow(version: next, round: 1, state: .live, decidedAt: 2)) }
        try desk.shelf.refresh()
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.1)), .reading(try desk.scored("1.2", "1.2.1", 0.1)))
        desk.wait(2000)
        let flags = desk.flags()
        #expect(flags.first { $0.study == "1.1" }?.model.version == live.id)
        #expect(flags.first { $0.study == "1.2" }?.model.version == next.id)
        // The same for an instance that comes when the study is long closed.
        desk.turn(.reading(try desk.scored("1.1", "1.1.3", 0.1)))
        desk.wait(2000)
        #expect(desk.flags().filter { $0.study == "1.1" }.map(\.model.version) == [live.id])
        #expect(try desk.store.read { try $0.flags("1.1").count } == 1)
    }

    @Test func `Several packages flag the same study, each with its own flag`() throws {
        let other = version("x", package: "other")
        try WorkerStore(directory: folder.url).addModel(manifest(name: "other-model"), other)
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        desk.wait(2000)
        #expect(Set(desk.flags().map(\.model.name)) == ["test-model", "other-model"])
    }

    @Test func `Two studies of two gateways do not disturb each other`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        // Another gateway has an instance that takes for ever.
        _ = desk.arrive("slow", gateway: "other")
        desk.wait(2000)
        #expect(desk.flags().map(\.study) == ["1.1"])
    }

    @Test func `The same study at two gateways is flagged at each, over that gateway's instances alone`() throws {
        let desk = try desk()
        for gateway in ["a", "b"] { desk.hello(gatewayBook, gateway: gateway) }
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.9, gateway: "a")))
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.9, gateway: "b")))
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.1, gateway: "b")))
        desk.wait(2000)
        let final = desk.sent().filter { $0.flag?.state == .final }
        #expect(Set(final.map(\.gateway)) == ["a", "b"] && final.count == 2)
        #expect(final.first { $0.gateway == "a" }?.flag?.instances.scored == 1)
        #expect(final.first { $0.gateway == "b" }?.flag?.instances.scored == 2)
        let flag = try #require(final.first?.flag)
        // One gateway's acknowledgement does not hide the other's flag.
        desk.acknowledge(flag, gateway: "a", receipt: Receipt(state: "gateway", serial: 1))
        for gateway in ["a", "b"] { desk.hello(ReceiptBook(state: "gateway", serial: 1), gateway: gateway) }
        #expect(Set(desk.sent().compactMap { $0.flag == nil ? nil : $0.gateway }) == ["b"])
    }

    @Test func `Examples over the disk budget go, unlabelled ones first`() throws {
        let desk = try desk { $0.exampleMegabytes = 0 }
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        desk.wait(2000)
        #expect(desk.flags().count == 1)
        #expect(try desk.store.read { try $0.examples("1.1").map(\.state) } == [.dropped])
        #expect(try FileManager.default.contentsOfDirectory(atPath: desk.store.examples.path).isEmpty)
    }
}
