// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Statistics
import Synchronization
import WorkerStore

/// The thread that keeps the site's own figures and operating points: it notices new labels, new versions and what
/// `gantry model` wrote, computes the figures of what is live, and lets the next flags use both.
///
/// Apart from the training room, which is busy for as long as it trains.
final class ValidationRoom: @unchecked Sendable {
    private static let lookMilliseconds: Int64 = 1000
    /// Examples can become usable without a decision that shows.
    private static let longestMilliseconds: Int64 = 60_000

    private let store: WorkerStore
    private let shelf: ModelShelf
    private let models: LiveModels
    private let figures: SiteFigures
    private let board: StatusBoard
    private let timepiece: Timepiece
    private let log: Logger
    private let bell = Conveyor<Void>()
    private let isStopping = Atomic<Bool>(false)
    private let thread = OwnThread()
    private let onModels = Mutex<@Sendable () -> Void>({})

    // Touched by the room's thread alone, after the start.
    private var lastDecision: Int64 = -1
    private var lastOperatingPoint: Int64 = -1
    private var lastModels: [String]?
    private var lastLookAt: Int64 = .min
    private var isFailing = false

    init(
        store: WorkerStore, shelf: ModelShelf, models: LiveModels, figures: SiteFigures, board: StatusBoard,
        timepiece: Timepiece, log: Logger
    ) throws {
        self.store = store
        self.shelf = shelf
        self.models = models
        self.figures = figures
        self.board = board
        self.timepiece = timepiece
        self.log = log
        // The first flag after a start carries what was known before.
        figures.replace(with: try store.read { try $0.validations() })
    }

    /// - Parameter body: called on the room's thread when packages or versions were decided about, by whichever process.
    func whenModelsChange(_ body: @escaping @Sendable () -> Void) {
        onModels.withLock { $0 = body }
    }

    func start() throws {
        try thread.start { [self] in self.run() }
    }

    /// There are new scores of held-out studies. Any thread.
    func ring() {
        if bell.count == 0 { bell.put(()) }
    }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        bell.close()
        thread.join()
    }

    private func run() {
        // Scoring goes first. Linux applies it to the calling thread alone.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        while !isStopping.load(ordering: .relaxed) {
            let isRung = !bell.take(upTo: 16, milliseconds: Self.lookMilliseconds).isEmpty
            if isStopping.load(ordering: .relaxed) { return }
            do {
                try look(isRung: isRung)
                isFailing = false
            } catch {
                // Said once; the next look tries again.
                if !isFailing { log.error("this site's figures and thresholds cannot be kept: \(error)") }
                isFailing = true
            }
        }
    }

    /// Takes over what has changed since the last look.
    func look(isRung: Bool) throws {
        let (decision, point, models) = try store.read {
            (try $0.lastDecision(), try $0.lastOperatingPoint(), try $0.modelDecisions())
        }
        if models != lastModels {
            try store.copyPackages()
            if lastModels != nil {
                try shelf.refresh()
                board.versionsChanged()
                onModels.withLock { $0 }()
            }
            lastModels = models
        }
        if point != lastOperatingPoint {
            try shelf.refresh()
            board.versionsChanged()
            try store.copyOperatingPoints()
            lastOperatingPoint = point
        }
        let now = timepiece.monotonic()
        guard isRung || decision != lastDecision || now - lastLookAt >= Self.longestMilliseconds else { return }
        try compute()
        (lastDecision, lastLookAt) = (decision, now)
    }

    private func compute() throws {
        let live = models.all
        let at = timepiece.unix()
        let (known, rows) = try store.read { transaction in
            let rows = try live.flatMap { model in
                let studies = try transaction.heldOutStudies(version: model.id)
                let points = try transaction.operatingPoints(model.version)
                return model.manifest.findings.compactMap { finding -> ValidationRow? in
                    guard let studies = studies[finding.name] else { return nil }
                    return ValidationRow(
                        version: model.id.hex, finding: finding.name, threshold: finding.threshold, studies: studies,
                        calibrationLabels: points[finding.name]?.calibrationLabels, at: at)
                }
            }
            return (try transaction.validations(), rows)
        }
        let before = Dictionary(known.map { (SiteFigures.Key($0), $0) }, uniquingKeysWith: { $1 })
        let changed = rows.filter { row in
            guard var old = before[SiteFigures.Key(row)] else { return true }
            old.at = row.at
            return old != row
        }
        let versions = live.map(\.id.hex)
        let gone = known.contains { old in
            versions.contains(old.version) && !rows.contains { SiteFigures.Key($0) == SiteFigures.Key(old) }
        }
        guard !changed.isEmpty || gone else { return }
        let kept = try store.write { transaction in
            try transaction.replaceValidations(
                versions: versions,
                with: rows.map { row in
                    changed.contains(row) ? row : before[SiteFigures.Key(row)] ?? row
                })
            return try transaction.validations()
        }
        figures.replace(with: kept)
        board.versionsChanged()
    }
}
