// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Statements
import Synchronization
import Triage
import Wire
import WorkerStore

/// The one thread that commits: instances, flags, labels. It decides when a study is complete, and it is the only one
/// that acknowledges, always after the commit.
///
/// Events are taken in batches and each batch is one transaction. When a commit fails (disk full), nothing is
/// acknowledged, what is in memory is forgotten and read again from the database, and the batch is tried again.
final class StudyDesk: @unchecked Sendable {
    /// What a transaction leads to once it is on disk.
    struct Effects {
        struct Acknowledgement {
            var arrival: Arrival
            var outcome: ToGateway.Outcome
            var study: String
            var reason: String
        }

        struct ReviewAnswer {
            var gateway: String
            var review: String
            var isAccepted: Bool
            var reason: String
        }

        var acknowledgements: [Acknowledgement] = []
        var reviewAnswers: [ReviewAnswer] = []
        /// For all of them; they are one commit.
        var receipt: Receipt?
        var flags: [FlagRow] = []
        var closed: [StudyKey] = []
        /// Studies of which an instance came that was scored before.
        var repeated: Set<StudyKey> = []
        var hasNewLabels = false
        var hasDocuments = false
        var setAside = false

        mutating func acknowledge(
            _ arrival: Arrival, _ outcome: ToGateway.Outcome, study: String = "", reason: String = ""
        ) {
            acknowledgements.append(.init(arrival: arrival, outcome: outcome, study: study, reason: reason))
        }
    }

    /// A flag at one gateway; two gateways may hold the same study.
    private struct SentFlag: Hashable {
        var gateway: String
        var flag: String
    }

    let settings: WorkerSettings
    let store: WorkerStore
    let shelf: ModelShelf
    let examples: ExampleShelf
    let models: LiveModels
    let figures: SiteFigures
    let ledger: ArrivalLedger
    let timepiece: Timepiece
    let heldOut: HeldOutShare
    let codes: CodeMap
    let log: Logger
    private let events: Conveyor<DeskEvent>
    private let board: StatusBoard
    private let post: @Sendable (_ gateway: String, _ message: ToGateway, _ payload: [UInt8]) -> Void
    private let isStopping = Atomic<Bool>(false)
    private let thread = OwnThread()

    // Touched by the desk's thread alone.
    var studies: [StudyKey: OpenStudy] = [:]
    var completions: [(study: StudyKey, mark: Int)] = []
    /// What each gateway said in its hello that it still knows.
    var books: [String: ReceiptBook] = [:]
    private var flagsSentAt: [SentFlag: Int64] = [:]
    private var gateways: Set<String> = []
    private var isFailing = false
    private var lastResendAt: Int64 = .min
    private var lastStatusAt: Int64 = .min
    private var lastLookAt: Int64 = .min

    /// - Parameter post: sends a message to a gateway; called on the desk's thread.
    init(
        settings: WorkerSettings, store: WorkerStore, shelf: ModelShelf, models: LiveModels, figures: SiteFigures,
        ledger: ArrivalLedger, events: Conveyor<DeskEvent>, board: StatusBoard, timepiece: Timepiece, log: Logger,
        post: @escaping @Sendable (_ gateway: String, _ message: ToGateway, _ payload: [UInt8]) -> Void
    ) throws {
        self.settings = settings
        self.store = store
        self.shelf = shelf
        self.models = models
        self.figures = figures
        self.ledger = ledger
        self.events = events
        self.board = board
        self.timepiece = timepiece
        self.log = log
        self.post = post
        examples = ExampleShelf(
            store: store, budgetBytes: settings.exampleMegabytes << 20,
            reserve: DiskReserve(folder: store.examples, megabytes: settings.diskReserveMegabytes), log: log)
        heldOut = HeldOutShare(share: settings.heldOutShare)
        codes = try settings.codes()
        try examples.sweep()
    }

    /// Starts the thread; studies that were open when the last process ended get their quiet period anew.
    func start() throws {
        try thread.start { [self] in self.run() }
    }

    /// Ends the thread after the batch it works on; the event conveyor has to be closed first.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        thread.join()
    }

    /// Puts the studies on the desk that were open when the last process ended.
    func openStudies() {
        persistently { _, transaction in
            for row in try transaction.openStudies() { try self.open(row.key, transaction) }
        }
    }

    private func run() {
        openStudies()
        while !isStopping.load(ordering: .relaxed) {
            turn(events.take(upTo: 64, milliseconds: millisecondsToNextDue()))
        }
    }

    /// Handles some events and whatever is due now.
    func turn(_ batch: [DeskEvent]) {
        if !batch.isEmpty || !due().isEmpty || hasUnstated() {
            persistently { effects, transaction in
                for event in batch { try self.handle(event, &effects, transaction) }
                for (study, reason) in self.due() { try self.finish(study, because: reason, &effects, transaction) }
                try self.restate(&effects, transaction)
            }
        }
        let now = timepiece.monotonic()
        for case .gatewayHello(let gateway, let isNew, _) in batch {
            gateways.insert(gateway)
            if isNew {
                flagsSentAt = [:]
                lastResendAt = .min
                lastStatusAt = .min
            }
        }
        if lastResendAt == .min || now - lastResendAt >= Int64(settings.resendSeconds * 1000) { resendFlags(now) }
        if lastStatusAt == .min || now - lastStatusAt >= Int64(settings.statusSeconds * 1000) || board.takeChange() {
            sendStatus(now)
        }
    }

    /// Another process may have said something about a study; looked at now and then.
    private func hasUnstated() -> Bool {
        let now = timepiece.monotonic()
        guard lastLookAt == .min || now - lastLookAt >= Self.lookMilliseconds else { return false }
        lastLookAt = now
        return (try? store.read { try !$0.unstatedStudies(limit: 1).isEmpty }) ?? false
    }

    private static let lookMilliseconds: Int64 = 500

    // MARK: Committing

    private func persistently(_ body: (inout Effects, WorkerTransaction) throws -> Void) {
        while true {
            do {
                let effects = try store.write { transaction in
                    var effects = Effects()
                    try body(&effects, transaction)
                    if !effects.acknowledgements.isEmpty || !effects.reviewAnswers.isEmpty {
                        effects.receipt = try transaction.nextReceipt()
                    }
                    return effects
                }
                if isFailing { log.notice("worker.sqlite can be written again") }
                isFailing = false
                perform(effects)
                return
            } catch {
                // Said once, however long it takes.
                if !isFailing { log.error("worker.sqlite cannot be written, trying again: \(error)") }
                isFailing = true
                if isStopping.load(ordering: .relaxed) || store.isDamaged { return }
                usleep(500_000)
                // The memory may be ahead of the database now.
                studies = [:]
                examples.forget()
                try? store.read { transaction in
                    for row in try transaction.openStudies() { try self.open(row.key, transaction) }
                }
            }
        }
    }

    private func perform(_ effects: Effects) {
        let now = timepiece.monotonic()
        // Acknowledgements first: they tell the gateway whose a study is.
        if let receipt = effects.receipt { acknowledge(effects, receipt) }
        ledger.finish(effects.acknowledgements.map(\.arrival))
        for flag in effects.flags { post(flag, now) }
        for study in effects.repeated { repeatFlags(study, now) }
        for study in effects.closed {
            studies[study] = nil
            models.release(study)
        }
        if effects.hasDocuments { board.refreshDocuments(store) }
        if effects.hasNewLabels { board.labelsChanged() }
        if effects.setAside { board.refreshSetAside(store) }
    }

    private func acknowledge(_ effects: Effects, _ receipt: Receipt) {
        for done in effects.acknowledgements {
            guard let instance = GatewayInstanceID(done.arrival.gatewayInstance) else { continue }
            post(
                done.arrival.gateway,
                .ack(
                    sequence: done.arrival.sequence, instance: instance, outcome: done.outcome,
                    studyInstanceUID: done.study, reason: String(done.reason.prefix(1000)), receipt: receipt), [])
        }
        for answer in effects.reviewAnswers {
            post(
                answer.gateway,
                .reviewAck(
                    review: answer.review, accepted: answer.isAccepted, reason: answer.reason, receipt: receipt), [])
        }
    }

    private func handle(_ event: DeskEvent, _ effects: inout Effects, _ transaction: WorkerTransaction) throws {
        switch event {
        case .reading(let reading): try take(reading, &effects, transaction)
        case .studyComplete(let study, let mark):
            completions.removeAll { $0.study == study }
            completions.append((study, mark))
        case .review(let gateway, let id, let document):
            try takeReview(gateway: gateway, id: id, document: document, &effects, transaction)
        case .flagAck(let gateway, let flag, let revision, let held, let report, let receipt):
            try takeFlagAck(
                gateway: gateway, flag: flag, revision: revision, held: held, report: report, receipt: receipt,
                &effects, transaction)
        case .gatewayHello(let gateway, let isNew, let receipts):
            if isNew { try meet(gateway, receipts, transaction) }
        }
    }

    // MARK: Time

    /// Studies that are complete now, and why.
    private func due() -> [(study: StudyKey, reason: Completeness.Reason)] {
        let ready = completions.filter { ledger.isWorkedOff($0.study.gateway, to: $0.mark) }
        if !ready.isEmpty {
            for completion in ready { studies[completion.study]?.completeness.hostSaysComplete() }
            completions.removeAll { completion in ready.contains { $0.study == completion.study } }
        }
        var times: [String: Int64] = [:]
        return studies.values.compactMap { study in
            let gateway = study.row.gateway
            let time = times[gateway] ?? ledger.time(gateway)
            times[gateway] = time
            return study.completeness.reason(at: time).map { (study.key, $0) }
        }
    }

    private func millisecondsToNextDue() -> Int64 {
        if !completions.isEmpty { return 5 }
        var next: Int64 = 250
        for study in studies.values {
            let due = study.completeness.lastPosition + study.completeness.quietMilliseconds
            next = min(next, due - ledger.time(study.row.gateway))
        }
        return max(1, next)
    }

    // MARK: Sending

    /// A gateway that sends again what we have may have lost what we told it.
    private func repeatFlags(_ study: StudyKey, _ now: Int64) {
        guard let flags = try? store.read({ try $0.flags(study) }) else { return }
        for flag in flags where flag.revision > 0 { send(flag, now) }
    }

    /// Sends a flag unless it went out a moment ago.
    private func send(_ flag: FlagRow, _ now: Int64) {
        let sent = SentFlag(gateway: flag.study.gateway, flag: flag.flag)
        if let last = flagsSentAt[sent], now - last < Int64(settings.resendSeconds * 1000) { return }
        post(flag, now)
    }

    private func post(_ flag: FlagRow, _ now: Int64) {
        let sent = SentFlag(gateway: flag.study.gateway, flag: flag.flag)
        flagsSentAt[sent] = now
        post(
            sent.gateway,
            .flag(flag: flag.flag, revision: flag.revision, studyInstanceUID: flag.study.studyInstanceUID),
            Array(flag.document.utf8))
    }

    private func resendFlags(_ now: Int64) {
        lastResendAt = now
        // What went out long ago says nothing any more.
        flagsSentAt = flagsSentAt.filter { now - $0.value < Int64(settings.resendSeconds * 1000) }
        for gateway in gateways {
            guard let flags = try? store.read({ try $0.unacknowledgedFlags(gateway: gateway, limit: 500) }) else {
                return
            }
            for flag in flags { send(flag, now) }
        }
    }

    private func sendStatus(_ now: Int64) {
        lastStatusAt = now
        let document = board.document(
            store: store, models: models.all, setAside: models.setAside, figures: figures,
            queued: ledger.outstandingCount)
        for gateway in gateways { post(gateway, .modelStatus, Array(document)) }
    }
}
