// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Synchronization
import Triage
import Wire
import WorkerStore

@testable import WorkerService

/// A study desk without threads, on a clock that is moved by hand, with readings that are made up.
final class Desk {
    struct Sent: Equatable {
        var gateway: String
        var message: ToGateway
        var flag: Flag?
    }

    let clock: VirtualClock
    let store: WorkerStore
    let models = LiveModels()
    let figures = SiteFigures()
    let ledger: ArrivalLedger
    let shelf: ModelShelf
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let desk: StudyDesk
    private let outbox: Outbox
    private var sequence: Int64 = 0

    private final class Outbox: Sendable {
        let sent = Mutex<[Sent]>([])
    }

    init(_ folder: URL, clock: VirtualClock, settings adjust: (inout WorkerSettings) -> Void = { _ in }) throws {
        self.clock = clock
        store = try WorkerStore(directory: folder)
        ledger = ArrivalLedger(timepiece: clock.timepiece)
        shelf = ModelShelf(store: store, models: models, log: log, timepiece: clock.timepiece)
        try shelf.refresh()
        var settings = WorkerSettings(state: folder)
        settings.heldOutShare = 0
        adjust(&settings)
        let outbox = Outbox()
        self.outbox = outbox
        desk = try StudyDesk(
            settings: settings, store: store, shelf: shelf, models: models, figures: figures, ledger: ledger,
            events: Conveyor(), board: StatusBoard(isFederated: false), timepiece: clock.timepiece, log: log,
            post: { gateway, message, payload in
                let flag = try? JSONDecoder().decode(Flag.self, from: Data(payload))
                outbox.sent.withLock { $0.append(Sent(gateway: gateway, message: message, flag: flag)) }
            })
        desk.openStudies()
    }

    /// What was sent since the last call, without status messages.
    func sent() -> [Sent] {
        outbox.sent.withLock { sent in
            defer { sent = [] }
            return sent.filter { $0.message != .modelStatus }
        }
    }

    func acks() -> [ToGateway] {
        sent().map(\.message).filter { if case .ack = $0 { true } else { false } }
    }

    /// The receipt of the last transaction that acknowledged something.
    func lastReceipt() throws -> Receipt {
        let book = try store.read { try $0.receipts() }
        return Receipt(state: book.state, serial: book.serial)
    }

    func flags() -> [Flag] { sent().compactMap(\.flag) }

    /// A gateway that says hello, with what it still knows.
    func hello(_ receipts: ReceiptBook, gateway: String = "g") {
        turn(.gatewayHello(gateway: gateway, isNew: true, receipts: receipts))
    }

    /// The gateway's acknowledgement of a flag.
    func acknowledge(_ flag: Flag, held: Int? = nil, gateway: String = "g", receipt: Receipt) {
        turn(
            .flagAck(
                gateway: gateway, flag: flag.flag, revision: flag.revision, held: held ?? flag.revision,
                report: "", receipt: receipt))
    }

    func turn(_ events: DeskEvent...) { desk.turn(events) }

    /// Moves the clock and lets the desk look at it.
    func wait(_ milliseconds: Int64) {
        clock.advance(milliseconds)
        desk.turn([])
    }

    func arrive(_ gatewayInstance: String, gateway: String = "g") -> Arrival {
        sequence += 1
        return Arrival(
            gateway: gateway, sequence: sequence, gatewayInstance: gatewayInstance, receivedAt: clock.now,
            ticket: ledger.arrive(gateway: gateway, receivedAt: clock.now))
    }

    /// An instance of study `study` that every live version scores with `probability`.
    func scored(
        _ study: String, _ sop: String, _ probability: Float, expected: Int? = nil, counts: ExpectedCounts? = nil,
        series: String = "", patient: String = "P", gateway: String = "g"
    ) throws -> InstanceReading {
        let key = StudyKey(gateway: gateway, studyInstanceUID: study)
        let traits = LiveModels.Traits(study: key, modality: "CT", bodyPart: "", sopClassUID: "")
        let choice = try models.choose(traits) {
            try store.read { try shelf.models(readingStudy: key, $0) }
        }
        guard case .read(let chosen) = choice else { throw CancellationError() }
        let scores = chosen.map { model in
            InstanceReading.Score(
                model: model, probabilities: [probability],
                kept: [.init(values: [Float](repeating: probability, count: 64), count: 1)])
        }
        return reading(
            study, sop, .scored(scores), expected: expected, counts: counts, series: series, patient: patient,
            gateway: gateway)
    }

    func reading(
        _ study: String, _ sop: String, _ outcome: InstanceReading.Outcome, expected: Int? = nil,
        counts: ExpectedCounts? = nil, series: String = "", patient: String = "P", gateway: String = "g"
    ) -> InstanceReading {
        InstanceReading(
            arrival: arrive("gw-\(sop)", gateway: gateway),
            identity: .init(
                study: StudyHeader(studyInstanceUID: study, patientID: patient, modality: "CT"), sopInstanceUID: sop,
                expected: counts ?? ExpectedCounts(study: expected), seriesInstanceUID: series),
            outcome: outcome)
    }
}
