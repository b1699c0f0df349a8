// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Logging
import Torch
import WorkerStore
import ZeroMQ

/// A worker: receives instances from gateways, flags studies, learns from labels, takes part in rounds.
///
/// One study from message to flag: `GatewayLink` → `DecodingRoom` → `Scorer` → `StudyDesk` → `GatewayLink`.
/// One final flag to the objects in the archive: `StudyDesk` → database → `ReportRoom` → `GatewayLink`.
/// One label from verdict to delta: `StudyDesk` → database → `TrainingRoom` → database → `HubLink`.
public final class Worker: Sendable {
    /// Where gateways connect, with the port that was chosen for `*`.
    public var endpoint: String { link.endpoint }

    private let log: Logger
    private let lock: StateLock
    private let store: WorkerStore
    private let sandbox: ModelSandbox
    private let link: GatewayLink
    private let deliveries: Conveyor<Delivery>
    private let jobs: Conveyor<ScoringJob>
    private let events: Conveyor<DeskEvent>
    private let decoding: DecodingRoom
    private let scorer: Scorer
    private let desk: StudyDesk
    private let reports: Conveyor<ReportEvent>
    private let reportRoom: ReportRoom
    private let room: TrainingRoom
    private let validation: ValidationRoom
    private let hub: HubLink?

    /// Opens the state, installs packages and starts all threads. Call `stop` when done.
    ///
    /// - Throws: an error whose text says which setting, file or package is wrong.
    public convenience init(settings: WorkerSettings, log: Logger) throws {
        try self.init(settings: settings, log: log, context: Context(), timepiece: .system)
    }

    /// What is started one after the other.
    enum Part: String, CaseIterable, Codable {
        case link, validation, desk, scorer, decoding, reports, training, hub, end
    }

    /// - Parameter starting: called before each part; what it throws is as if that part could not be started.
    init(
        settings: WorkerSettings, log: Logger, context: Context, timepiece: Timepiece,
        starting: (Part) throws -> Void = { _ in }
    ) throws {
        try settings.check()
        self.log = log
        let keys = try settings.siteKey.map { try CurveKeyFile.readSecret(path: $0.path) }
        let hubKey = try settings.hubKey.map { try CurveKeyFile.publicKey($0) }
        lock = try StateLock(settings.state)
        let reserve = DiskReserve(folder: settings.state, megabytes: settings.diskReserveMegabytes)
        WorkerStore.sweepIncoming(in: settings.state, also: !reserve.hasRoom(for: 0))
        let store = try WorkerStore(directory: settings.state)
        self.store = store
        if let aside = store.setAside {
            log.error(
                """
                the database was damaged (\(aside.reason)) and was set aside as \(aside.path); a fresh one is begun, and \
                gateways hand over again what was not finished
                """)
        }
        do {
            let recovered = try store.recoverOperatingPoints()
            if recovered > 0 {
                log.notice("thresholds of this site that the database lacked, back from their copy: \(recovered)")
            }
        } catch let error as OperatingPointsError {
            log.error("\(error)")
        }
        let packages = try store.recoverPackages(at: timepiece.unix())
        if packages > 0 { log.notice("packages that the database lacked, back from their copy: \(packages)") }
        let models = LiveModels()
        let board = StatusBoard(isFederated: settings.hub != nil)
        let sandbox = ModelSandbox(
            try settings.modelProcesses(),
            onStart: { layers in if board.modelStarted(layers) { log.tell(layers, confine: "models") } },
            onFailure: { failure in
                log.warning("\(failure)")
                board.modelProcessFailed(failure.kind.rawValue)
            })
        self.sandbox = sandbox
        let shelf = ModelShelf(store: store, models: models, sandbox: sandbox, log: log, timepiece: timepiece)
        try shelf.installNamed(settings.packages)
        try shelf.refresh()
        board.refreshSetAside(store)
        board.refreshDocuments(store)
        board.databasesSetAside(store.setAsides())
        let ledger = ArrivalLedger(timepiece: timepiece)
        let deliveries = Conveyor<Delivery>()
        let jobs = Conveyor<ScoringJob>(mostBytes: 64 << 20)
        let events = Conveyor<DeskEvent>()
        let reports = Conveyor<ReportEvent>()
        self.deliveries = deliveries
        self.jobs = jobs
        self.events = events
        self.reports = reports
        // A part that cannot be started leaves those before it running, and nobody else could end them.
        var started = StartedParts()
        do {
            try starting(.link)
            let link = try GatewayLink(
                settings: settings, context: context, ledger: ledger, deliveries: deliveries, events: events,
                results: reports, log: log, receipts: { try store.read { try $0.receipts() } })
            self.link = link
            started.add { link.stop() }
            board.countRefusals { link.refusedCount }
            shelf.whenLiveChanges { link.setScoring(!$0.isEmpty) }
            let figures = SiteFigures()
            try starting(.validation)
            let validation = try ValidationRoom(
                store: store, shelf: shelf, models: models, figures: figures, board: board, timepiece: timepiece,
                log: log)
            self.validation = validation
            try starting(.desk)
            let desk = try StudyDesk(
                settings: settings, store: store, shelf: shelf, models: models, figures: figures, ledger: ledger,
                events: events, board: board, timepiece: timepiece, log: log,
                post: { gateway, message, payload in link.send(message, payload: payload, to: gateway) })
            self.desk = desk
            try starting(.scorer)
            let scorer = try Scorer(
                settings: settings, jobs: jobs, events: events, models: models, shelf: shelf, board: board, log: log)
            self.scorer = scorer
            started.add {
                jobs.close()
                scorer.stop()
            }
            try starting(.decoding)
            let decoding = try DecodingRoom(
                settings: settings, deliveries: deliveries, jobs: jobs, events: events, models: models, shelf: shelf,
                store: store, board: board, log: log)
            self.decoding = decoding
            started.add {
                deliveries.close()
                decoding.stop()
            }
            try starting(.reports)
            let reportRoom = try ReportRoom(
                settings: settings, store: store, shelf: shelf, events: reports, ledger: ledger, board: board,
                timepiece: timepiece, log: log,
                gateways: { link.gateways },
                post: { gateway, message, payload in link.send(message, payload: payload, to: gateway) })
            self.reportRoom = reportRoom
            started.add {
                reports.close()
                reportRoom.stop()
            }
            try starting(.training)
            let room = try TrainingRoom(
                store: store, shelf: shelf, ledger: ledger, board: board, limits: settings.limits, reserve: reserve,
                timepiece: timepiece, log: log)
            self.room = room
            started.add { room.stop() }
            try starting(.hub)
            if let endpoint = settings.hub, let hubKey, let keys {
                let hub = try HubLink(
                    settings: settings, hub: endpoint, hubKey: hubKey, keys: keys, context: context, store: store,
                    shelf: shelf, room: room, board: board, timepiece: timepiece, log: log)
                // Weak: the link knows the room.
                room.whenDone { [weak hub] in hub?.ring() }
                validation.whenModelsChange { [weak hub, weak room] in
                    hub?.reconsider()
                    room?.ring()
                }
                self.hub = hub
                started.add { hub.stop() }
            } else {
                hub = nil
                validation.whenModelsChange { [weak room] in room?.ring() }
            }
            room.whenScored { validation.ring() }
            board.whenLabelsChange { [weak room] in room?.ring() }
            try desk.start()
            started.add {
                events.close()
                desk.stop()
            }
            try starting(.end)
            try validation.start()
        } catch {
            started.stop()
            throw error
        }
        log.info("worker listens at \(link.endpoint), state in \(settings.state.path), \(models.all.count) models live")
    }

    /// Whether the database was found damaged; stop this worker and make another one.
    var isDamaged: Bool { store.isDamaged }

    /// - Parameter body: called once, on any thread, when the database is found damaged.
    func whenDamaged(_ body: @escaping @Sendable () -> Void) { store.whenDamaged(body) }

    /// Ends all threads. What is not committed was not acknowledged and comes again.
    public func stop() {
        link.stop()
        deliveries.close()
        jobs.close()
        events.close()
        reports.close()
        sandbox.interrupt()
        decoding.stop()
        scorer.stop()
        desk.stop()
        reportRoom.stop()
        room.stop()
        validation.stop()
        hub?.stop()
        lock.release()
    }
}
