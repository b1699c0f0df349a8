// SPDX-License-Identifier: GPL-3.0-or-later
import Decoding
import Foundation
import Imaging
import Logging
import ModelPackage
import Results
import Synchronization
import Torch
import Triage
import Wire
import WorkerStore
import ZeroMQ

/// The thread that turns final flags into DICOM objects and sees that each gets to the gateway that holds the study.
///
/// It asks the gateway for the slice that says most, makes the objects when it comes, commits them, and sends them until
/// they are acknowledged. One study at a time, and none while images arrive: a flag never waits for it.
final class ReportRoom: @unchecked Sendable {
    /// A flag whose slice was asked for.
    private struct Request {
        var number: Int64
        var flag: FlagRow
        var evidence: [FindingResult.Evidence]
        var deadline: Int64
        /// What was made already, while the slices of a segmentation are fetched.
        var made: (outcome: Outcome, segmentation: SegmentationWork)?
    }

    /// What became of a flag.
    private struct Outcome {
        var objects: [ResultObject] = []
        var failures: [String] = []
    }

    private static let answerMilliseconds: Int64 = 30_000
    private static let retryMilliseconds: Int64 = 30_000
    private static let pollMilliseconds: Int64 = 500
    /// So often without anything to do, the model that makes heat maps is put away.
    private static let patiencePolls = 120
    /// A study's objects wait so long for images that are read, at most before each step.
    private static let longestPauseMilliseconds: Int64 = 500
    /// After an instance the next one is expected for so long.
    private static let expectationMilliseconds: Int64 = 150
    /// Objects sent in one go: some megabytes.
    private static let objectsAtOnce = 8

    private let settings: WorkerSettings
    private let store: WorkerStore
    private let shelf: ModelShelf
    private let events: Conveyor<ReportEvent>
    private let ledger: ArrivalLedger
    private let slices: SliceDesk
    private let timepiece: Timepiece
    private let log: Logger
    private let gateways: @Sendable () -> Set<String>
    private let post: @Sendable (_ gateway: String, _ message: ToGateway, _ payload: [UInt8]) -> Void
    private let isStopping = Atomic<Bool>(false)
    private let thread = OwnThread()

    // Unchecked: touched by the room's own thread alone.
    private var request: Request?
    private var lastNumber: Int64 = 0
    /// Flags that could not be worked on a moment ago, and when to look at them again.
    private var putOff: [String: Int64] = [:]
    private var sentAt: [String: Int64] = [:]
    private lazy var heatMaps = HeatMapDesk(shelf, log: log) { [unowned self] in giveWay() }
    /// What each gateway said in its hello that it still knows.
    private var books: [String: ReceiptBook] = [:]

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - events: closed by the owner before `stop`.
    ///   - gateways: the ones that can be spoken to now; any thread.
    ///   - post: puts a message into a gateway's mailbox; any thread.
    init(
        settings: WorkerSettings, store: WorkerStore, shelf: ModelShelf, events: Conveyor<ReportEvent>,
        ledger: ArrivalLedger, board: StatusBoard, timepiece: Timepiece, log: Logger,
        gateways: @escaping @Sendable () -> Set<String>,
        post: @escaping @Sendable (_ gateway: String, _ message: ToGateway, _ payload: [UInt8]) -> Void
    ) throws {
        self.settings = settings
        self.store = store
        self.shelf = shelf
        self.events = events
        self.ledger = ledger
        self.timepiece = timepiece
        self.log = log
        self.gateways = gateways
        self.post = post
        slices = SliceDesk(try settings.decoders()) { error in
            log.warning("\(error)")
            board.decoderFailed(error.name)
        }
        try thread.start { [self] in self.run() }
    }

    /// Ends the thread; the event conveyor has to be closed first. A study that it works on is begun again by the next
    /// process.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        slices.interrupt()
        thread.join()
    }

    private func run() {
        ZeroMQ.Thread.nameCurrent("gantry-reports")
        // Scoring goes first and training last. Linux applies it to the calling thread alone.
        let own = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, min(own + 5, 19))
        var failures = 0
        var idlePolls = 0
        while !isStopping.load(ordering: .relaxed) {
            let batch = events.take(upTo: 16, milliseconds: Self.pollMilliseconds)
            do {
                for event in batch { try handle(event) }
                try ask()
                try send()
                failures = 0
                idlePolls = batch.isEmpty && request == nil ? idlePolls + 1 : 0
                if idlePolls == Self.patiencePolls { heatMaps.rest() }
            } catch {
                failures += 1
                if failures == 1 { log.error("results cannot be committed or read, trying again: \(error)") }
                request = nil
                usleep(500_000)
            }
        }
    }

    private func handle(_ event: ReportEvent) throws {
        switch event {
        case .gatewayHello(let gateway, let receipts): try meet(gateway, receipts)
        case .acknowledged(let gateway, let object, let refusal, let receipt):
            // An acknowledgement from before a loss may be overtaken by the hello after it.
            guard refusal != nil || books[gateway]?.mayHold(receipt) == true else { return }
            try store.write {
                try $0.acknowledgeResult(object, gateway: gateway, refusal: refusal, receipt: receipt)
            }
            sentAt["\(gateway)\n\(object)"] = nil
            if let refusal { log.warning("gateway \(gateway) refused a result: \(refusal)") }
        case .fetched(let number, let file):
            guard var waiting = request, waiting.number == number else { return }
            if let made = waiting.made {
                if let file {
                    try segment(file, waiting, made.segmentation)
                } else {
                    made.segmentation.skip("gone: the gateway no longer has the slice")
                }
                return try fetchNext()
            }
            guard let file else {
                // The archive may have lost this slice and still hold the others.
                waiting.evidence.removeFirst()
                request = waiting
                return try fetchNext()
            }
            request = nil
            try make(waiting.flag, waiting.evidence[0], file)
        }
    }

    /// A gateway has said hello: what it lost is made and sent again. See `ReceiptBook`.
    private func meet(_ gateway: String, _ receipts: ReceiptBook) throws {
        // Its database cannot be used at present; it says hello again when it can.
        guard !receipts.state.isEmpty else {
            books[gateway] = nil
            return
        }
        books[gateway] = receipts
        let since = timepiece.unix() - StudyDesk.keepMilliseconds
        let count = try store.write {
            try $0.unacknowledgeResults(gateway: gateway, notHeldBy: receipts, since: since)
        }
        if count > 0 { log.notice("gateway \(gateway) has lost \(count) results; they are made and sent again") }
        sentAt = [:]
    }

    // MARK: Asking for the slice

    /// Takes the next due flag of a gateway that can be spoken to, unless one is being worked on.
    private func ask() throws {
        let now = timepiece.monotonic()
        if let waiting = request {
            guard now >= waiting.deadline else { return }
            putOff[waiting.flag.flag + waiting.flag.study.gateway] = now + Self.retryMilliseconds
            request = nil
        }
        putOff = putOff.filter { $0.value > now }
        for gateway in gateways() {
            let due = try store.read { try $0.dueReports(gateway: gateway, limit: 1 + putOff.count) }
            guard let flag = due.first(where: { putOff[$0.flag + gateway] == nil }) else { continue }
            guard let document = document(flag), let finding = document.leading, !finding.evidence.isEmpty else {
                try store.write {
                    try $0.finishReport(flag, objects: [], failure: "no-evidence: the flag names no slice")
                }
                continue
            }
            lastNumber += 1
            request = Request(
                number: lastNumber, flag: flag,
                evidence: finding.evidence.sorted { $0.probability > $1.probability }, deadline: 0)
            return try fetchNext()
        }
    }

    private func fetchNext() throws {
        guard var waiting = request else { return }
        if let made = waiting.made, made.segmentation.wanted == nil {
            request = nil
            return try finish(waiting.flag, made.outcome, made.segmentation)
        }
        let wanted =
            waiting.made.map { $0.segmentation.wanted?.gatewayInstance } ?? waiting.evidence.first?.gatewayInstance
        guard let wanted else {
            request = nil
            return try fail(waiting.flag, "gone: the gateway no longer has the slices that carry the evidence")
        }
        guard let instance = GatewayInstanceID(wanted) else {
            request = nil
            return try fail(waiting.flag, "bad-id: the slice's id is none of a gateway")
        }
        waiting.deadline = timepiece.monotonic() + Self.answerMilliseconds
        request = waiting
        post(waiting.flag.study.gateway, .fetch(request: waiting.number, instance: instance), [])
    }

    private func fail(_ flag: FlagRow, _ reason: String) throws {
        log.warning("a final flag could not be told as DICOM objects: \(reason)")
        try store.write { try $0.finishReport(flag, objects: [], failure: reason) }
    }

    private func document(_ flag: FlagRow) -> (flag: Flag, leading: FindingResult?)? {
        guard let flag = try? JSONDecoder().decode(Flag.self, from: Data(flag.document.utf8)) else { return nil }
        return (flag, StudyResult.leadingFinding(of: flag))
    }

    // MARK: Making

    private func make(_ row: FlagRow, _ slice: FindingResult.Evidence, _ file: Data) throws {
        guard let (flag, leading) = document(row), let leading else { return }
        typealias Images = [(instance: InstanceRow, scores: Int)]
        let known: (model: LiveModel?, images: Images)? = try store.read { transaction in
            // What came while the slice was fetched is told with the next revision.
            guard try transaction.isReportDue(row) else { return nil }
            let version = try Hash(hex: row.modelVersion).flatMap { try transaction.version($0) }
            return (
                model: try version.flatMap { try shelf.model($0, transaction) },
                images: try transaction.scoredInstances(row.study, version: row.modelVersion)
            )
        }
        guard let known else { return }
        guard let model = known.model else { return try fail(row, "no-package: the model is not installed any more") }
        let findings = max(1, model.manifest.findings.count)
        var result = StudyResult(
            flag: flag, manifest: model.manifest,
            images: known.images.map { InstanceReference($0.instance, frames: $0.scores / findings) }, predecessor: nil,
            programVersion: GatewayLink.programVersion)
        result.predecessor = try predecessor(of: result.reference(.report), row)
        var outcome = Outcome()
        do {
            outcome.objects.append(try result.report(original: file))
        } catch {
            outcome.failures.append("report-failed: \(error)")
        }
        do {
            outcome.objects.append(try keyImage(result, model, leading, slice, file))
        } catch {
            if passes(error, row) { return }
            outcome.failures.append("key-image-failed: \(error)")
        }
        if settings.keyObjects {
            do {
                let image = outcome.objects.first { $0.kind == .keyImage }?.reference
                outcome.objects.append(
                    try result.keyObjects(original: file, title: settings.keyObjectTitle, keyImage: image))
            } catch {
                outcome.failures.append("key-objects-failed: \(error)")
            }
        }
        if let work = try segmentation(result, model, leading, row) {
            lastNumber += 1
            request = Request(number: lastNumber, flag: row, evidence: [], deadline: 0, made: (outcome, work))
            return try fetchNext()
        }
        try finish(row, outcome)
    }

    /// True for an error that says nothing about the study: the worker stops, or no process can be started now.
    private func passes(_ error: any Error, _ row: FlagRow) -> Bool {
        switch error {
        case TorchError.cancelled, DecoderError.interrupted: return true
        case DecoderError.unavailable, TorchError.unavailable:
            log.error("\(error); trying again")
            putOff[row.flag + row.study.gateway] = timepiece.monotonic() + Self.retryMilliseconds
            return true
        default: return false
        }
    }

    private func finish(_ row: FlagRow, _ outcome: Outcome, _ segmentation: SegmentationWork? = nil) throws {
        var outcome = outcome
        if let (object, failure) = segmentation?.finish() {
            outcome.objects += [object].compactMap(\.self)
            outcome.failures += [failure].compactMap(\.self)
        }
        for failure in outcome.failures { log.warning("a result could not be made: \(failure)") }
        let rows = outcome.objects.map { object in
            ResultRow(
                study: row.study, modelVersion: row.modelVersion, flag: row.flag, kind: object.kind.rawValue,
                sopClassUID: object.reference.sopClassUID, sopInstanceUID: object.reference.sopInstanceUID,
                seriesInstanceUID: object.reference.seriesInstanceUID, revision: row.revision, file: object.file)
        }
        try store.write {
            try $0.finishReport(
                row, objects: rows,
                failure: outcome.failures.isEmpty ? nil : outcome.failures.joined(separator: "; "))
        }
    }

    // MARK: Segmenting

    private func segmentation(
        _ result: StudyResult, _ model: LiveModel, _ leading: FindingResult, _ row: FlagRow
    ) throws -> SegmentationWork? {
        guard model.manifest.masks != nil else { return nil }
        var scores: [(sopInstanceUID: String, gatewayInstance: String, probabilities: [Float])] = []
        try store.read {
            try $0.forEachScore(study: row.study, version: row.modelVersion) { scores.append(($0, $1, $2)) }
        }
        return SegmentationWork(result, model, leading: leading, scores: scores)
    }

    private func segment(_ file: Data, _ waiting: Request, _ segmentation: SegmentationWork) throws {
        do {
            try segmentation.take(file, slices, heatMaps)
        } catch {
            if passes(error, waiting.flag) {
                request = nil
            } else {
                segmentation.skip("\(error)")
            }
        }
    }

    private func keyImage(
        _ result: StudyResult, _ model: LiveModel, _ finding: FindingResult, _ evidence: FindingResult.Evidence,
        _ file: Data
    ) throws -> ResultObject {
        let slice = try slices.slice(of: file, frame: evidence.frame, for: model)
        var heatMap: HeatMap?
        do {
            heatMap = try heatMaps.heatMap(model, input: slice.input, finding: finding.finding)
        } catch TorchError.cancelled {
            throw TorchError.cancelled
        } catch TorchError.unavailable(let reason) {
            throw TorchError.unavailable(reason: reason)
        } catch {
            log.warning("model \(model.manifest.name) \(model.id.short) gives no heat map: \(error)")
        }
        return try result.keyImage(original: file, finding: finding, slice: slice.view, heatMap: heatMap)
    }

    /// Waits while images are read, but not for ever; false when the worker stops.
    private func giveWay() -> Bool {
        let start = timepiece.monotonic()
        while !isStopping.load(ordering: .relaxed) {
            let isBusy = ledger.isBusy(withinMilliseconds: Self.expectationMilliseconds)
            if !isBusy || timepiece.monotonic() - start >= Self.longestPauseMilliseconds { return true }
            usleep(5000)
        }
        return false
    }

    /// The report that a new one takes the place of: the last one by this worker, else the one that the gateway knows of.
    private func predecessor(of report: InstanceReference, _ row: FlagRow) throws -> InstanceReference? {
        let last = try store.read {
            try $0.lastResult(
                row.study, version: row.modelVersion, kind: ResultKind.report.rawValue, before: report.sopInstanceUID)
        }
        let known = last?.sopInstanceUID ?? row.gatewayReport
        guard !known.isEmpty, known != report.sopInstanceUID else { return nil }
        var predecessor = report
        predecessor.sopInstanceUID = known
        return predecessor
    }

    // MARK: Sending

    /// Sends what is due to the gateways that are there, again when it was not acknowledged.
    private func send() throws {
        let now = timepiece.monotonic()
        sentAt = sentAt.filter { now - $0.value < Int64(settings.resendSeconds * 1000) }
        for gateway in gateways() {
            for object in try store.read({ try $0.dueResults(gateway: gateway, limit: Self.objectsAtOnce) }) {
                let name = "\(gateway)\n\(object.sopInstanceUID)"
                guard sentAt[name] == nil else { continue }
                sentAt[name] = now
                post(
                    gateway,
                    .result(
                        object: object.sopInstanceUID, kind: object.kind,
                        flag: object.flag, studyInstanceUID: object.study.studyInstanceUID), Array(object.file))
            }
        }
    }
}

extension InstanceReference {
    fileprivate init(_ row: InstanceRow, frames: Int) {
        self.init(
            sopClassUID: row.sopClassUID, sopInstanceUID: row.sopInstanceUID, seriesInstanceUID: row.seriesInstanceUID,
            frames: frames)
    }
}
