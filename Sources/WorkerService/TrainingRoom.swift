// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Logging
import ModelPackage
import Synchronization
import Tensors
import Torch
import WorkerStore

/// The thread that learns: it judges new versions and trains in open rounds, at low priority, and lets triage go first.
final class TrainingRoom: Sendable {
    private struct State {
        /// Rounds that are open at the hub, by package.
        var rounds: [Hash: RoundConfig] = [:]
        /// What a failed run was tried with, so that it is not tried again with the same.
        var failed: [String: Int64] = [:]
        /// The last decision up to which every held-out study was scored, by package.
        var scored: [Hash: Int64] = [:]
        /// Model processes that came to their end here, by package.
        var lostProcesses: [Hash: Int] = [:]
    }

    /// A package that lost so many processes here is left alone until the worker starts again; it may well score.
    private static let mostLostProcesses = 3

    /// Training goes on for a moment at least this often, even when instances never stop coming. A moment of a large
    /// network lasts a second, and the pause after it is longer, so that training gets a tenth of the time then.
    private static let longestPause: ClosedRange<Int64> = 2000...30_000
    private static let pausePerWork: Int64 = 10
    /// What took longer was not one moment of training.
    private static let longestWorkMilliseconds: Int64 = 10_000
    /// After an instance the next one is expected for so long.
    private static let expectationMilliseconds: Int64 = 150

    private let store: WorkerStore
    private let shelf: ModelShelf
    private let ledger: ArrivalLedger
    private let board: StatusBoard
    private let limits: SiteLimits
    private let reserve: DiskReserve
    private let timepiece: Timepiece
    private let log: Logger
    private let state = Mutex(State())
    private let bell = Conveyor<Void>()
    private let isStopping = Atomic<Bool>(false)
    /// When training last went on; the training thread only.
    private let resumedAt = Atomic<Int64>(0)
    private let thread = OwnThread()
    private let onDecision = Mutex<@Sendable () -> Void>({})
    private let onScores = Mutex<@Sendable () -> Void>({})

    init(
        store: WorkerStore, shelf: ModelShelf, ledger: ArrivalLedger, board: StatusBoard, limits: SiteLimits,
        reserve: DiskReserve, timepiece: Timepiece, log: Logger
    ) throws {
        self.store = store
        self.shelf = shelf
        self.ledger = ledger
        self.board = board
        self.limits = limits
        self.reserve = reserve
        self.timepiece = timepiece
        self.log = log
        try thread.start { [self] in self.run() }
    }

    /// - Parameter body: called on the room's thread when a version was decided or a delta is ready.
    func whenDone(_ body: @escaping @Sendable () -> Void) {
        onDecision.withLock { $0 = body }
    }

    /// - Parameter body: called on the room's thread when the live version has scored held-out studies.
    func whenScored(_ body: @escaping @Sendable () -> Void) {
        onScores.withLock { $0 = body }
    }

    /// The rounds that the hub has open now; a run for another round stops.
    func setRounds(_ rounds: [Hash: RoundConfig]) {
        state.withLock { $0.rounds = rounds }
        ring()
    }

    /// There may be something to do: a new version, new labels.
    func ring() {
        if bell.count == 0 { bell.put(()) }
    }

    /// Ends the thread at its next look at the clock, some ten milliseconds of work away.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        bell.close()
        thread.join()
    }

    private func run() {
        // Scoring goes first. Linux applies it to the calling thread alone.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        while !isStopping.load(ordering: .relaxed) {
            _ = bell.take(upTo: 16, milliseconds: 2000)
            if isStopping.load(ordering: .relaxed) { return }
            let packages = (try? store.read { try $0.activePackages() }) ?? []
            for package in packages where isWorthIt(package.package) {
                if !package.isPinned { judge(package) }
                scoreHeldOut(package)
                if let round = state.withLock({ $0.rounds[package.package] }) { train(package, round) }
            }
        }
    }

    private func isWorthIt(_ package: Hash) -> Bool {
        shelf.reasonSetAside(package) == nil
            && state.withLock { $0.lostProcesses[package] ?? 0 } < Self.mostLostProcesses
    }

    /// - Returns: whether the error is the end of a model's process, and it is worth another try.
    private func note(_ error: any Error, of row: PackageRow) -> Bool {
        guard case TorchError.process(let failure) = error else { return false }
        if failure.kind == .forbidden {
            shelf.setAside(row.package, name: row.name, because: failure.reason)
            return false
        }
        let count = state.withLock { state in
            state.lostProcesses[row.package, default: 0] += 1
            return state.lostProcesses[row.package] ?? 0
        }
        guard count >= Self.mostLostProcesses else { return true }
        log.error("model \(row.name) is neither trained nor judged until the worker starts again: \(failure)")
        return false
    }

    // MARK: Judging

    private func judge(_ row: PackageRow) {
        let versionGuard = VersionGuard(
            store: store, shelf: shelf, log: log, now: timepiece.unix, floor: limits.guardFloor)
        do {
            guard let decided = try versionGuard.judge(package: row.package, mayContinue: { self.giveWay() }) else {
                return
            }
            if decided.state == .live { try shelf.refresh() }
            board.versionsChanged()
            onDecision.withLock { $0 }()
        } catch TorchError.cancelled {
            return
        } catch {
            _ = note(error, of: row)
            log.error("a new version cannot be judged: \(error)")
        }
    }

    private func scoreHeldOut(_ row: PackageRow) {
        let package = row.package
        do {
            let decision = try store.read { try $0.lastDecision() }
            guard state.withLock({ $0.scored[package] }) != decision else { return }
            let scoring = HeldOutScoring(store: store, shelf: shelf)
            if try scoring.run(package: package, mayContinue: { self.giveWay() }) > 0 { onScores.withLock { $0 }() }
            state.withLock { $0.scored[package] = decision }
        } catch TorchError.cancelled {
            return
        } catch {
            _ = note(error, of: row)
            log.error("held-out studies cannot be scored: \(error)")
        }
    }

    // MARK: Training

    private func train(_ row: PackageRow, _ round: RoundConfig) {
        let name = "\(row.package.hex) \(round.round)"
        do {
            let manifest = try row.decodedManifest()
            let findings = manifest.findings.map(\.name)
            let (delta, counts) = try store.read {
                (
                    try $0.delta(package: row.package.hex, round: round.round),
                    try $0.labelCounts(package: row.package.hex, findings: findings)
                )
            }
            guard delta == nil, counts.training >= max(limits.trainingStudiesLeast, round.minimumLabels),
                counts.trainingPresent > 0, counts.trainingAbsent > 0,
                FileManager.default.fileExists(atPath: shelf.parametersFile(round.base.parameters).path),
                state.withLock({ $0.failed[name] }) != counts.lastLabel
            else { return }
            let bytes = try shelf.parametersFile(round.base.parameters).resourceValues(forKeys: [.fileSizeKey]).fileSize
            guard reserve.hasRoom(for: bytes ?? 0) else { throw TrainingFailure.noRoom(reserve.words) }
            // Remembered until it went well, so that a run that fails waits for new labels.
            state.withLock { $0.failed = [name: counts.lastLabel] }
            board.update { $0 = StatusBoard.Training(state: "training", round: round.round, progress: 0) }
            log.info("round \(round.round): training \(row.name) on \(counts.training) labelled studies")
            try makeDelta(row, manifest, round, counts.lastLabel)
            state.withLock { $0.failed[name] = nil }
            board.update { $0 = StatusBoard.Training() }
            onDecision.withLock { $0 }()
        } catch TorchError.cancelled {
            state.withLock { $0.failed[name] = nil }
            board.update { $0 = StatusBoard.Training() }
            log.info("round \(round.round): training was stopped")
        } catch {
            // The cause may lie outside the model: the kernel ran out of memory, somebody stopped the process.
            if note(error, of: row) { state.withLock { $0.failed[name] = nil } }
            board.update { $0 = StatusBoard.Training(state: "failed", round: round.round, problem: "\(error)") }
            log.error("round \(round.round): training failed: \(error)")
        }
    }

    private func makeDelta(_ row: PackageRow, _ manifest: Manifest, _ round: RoundConfig, _ lastLabel: Int64) throws {
        let package = try ModelPackage(directory: shelf.directory(row.package))
        let examples = try store.read {
            try $0.labelledExamples(
                package: row.package.hex, findings: manifest.findings.map(\.name), heldOut: false)
        }.compactMap { example -> TrainingExample? in
            let file = store.examples.appending(path: example.file)
            guard let content = try? ExampleFile(file), content.count > 0 else { return nil }
            return TrainingExample(file: file, labels: manifest.findings.map { example.labels[$0.name] })
        }
        let base = try Safetensors.read(shelf.parametersFile(round.base.parameters))
        let trainer = Trainer(package: package, plan: TrainingPlan(manifest.training, round: round), in: shelf.sandbox)
        let outcome = try IdleThread.run {
            try trainer.train(
                from: base, on: examples,
                mayContinue: { self.giveWay() && self.state.withLock { $0.rounds[row.package]?.round == round.round } },
                progress: { progress in
                    self.board.update {
                        $0.progress = Double(progress.step) / Double(max(1, progress.steps))
                        $0.loss = progress.loss
                    }
                })
        }
        try keep(outcome, row, round, lastLabel)
    }

    /// The delta's file first, then the row that promises it.
    private func keep(
        _ outcome: TrainingOutcome, _ row: PackageRow, _ round: RoundConfig, _ lastLabel: Int64
    ) throws {
        let data = Safetensors.encode(outcome.delta)
        let hash = Hash(of: data)
        let manifest = DeltaManifest(
            round: round.round, base: round.base.id, examples: outcome.studies, hash: hash, bytes: data.count,
            codec: "f32",
            metrics: DeltaManifest.Metrics(
                lossFirstEpoch: outcome.lossFirstEpoch, lossLastEpoch: outcome.lossLastEpoch, seconds: outcome.seconds))
        try data.write(to: store.deltaFile(hash.hex), options: .atomic)
        let document = String(decoding: try JSONEncoder().encode(manifest), as: UTF8.self)
        let at = timepiece.unix()
        let superseded = try store.write { transaction in
            let superseded = try transaction.supersedeDeltas(package: row.package.hex)
            try transaction.save(
                DeltaRow(
                    package: row.package.hex, round: round.round, hash: hash.hex, manifest: document,
                    lastLabel: lastLabel, createdAt: at))
            return superseded
        }
        for old in superseded { try? FileManager.default.removeItem(at: store.deltaFile(old)) }
        let loss = String(format: "%.3f → %.3f", outcome.lossFirstEpoch, outcome.lossLastEpoch)
        log.info(
            "round \(round.round): trained on \(outcome.studies) studies in \(String(format: "%.1f", outcome.seconds)) s, loss \(loss)"
        )
    }

    /// Waits while triage has work, but not for ever; false when the worker stops.
    private func giveWay() -> Bool {
        let start = timepiece.monotonic()
        let passed = start - resumedAt.load(ordering: .relaxed)
        let worked = passed < Self.longestWorkMilliseconds ? passed : 0
        let range = Self.longestPause
        let longest = min(max(Self.pausePerWork * worked, range.lowerBound), range.upperBound)
        defer { resumedAt.store(timepiece.monotonic(), ordering: .relaxed) }
        while !isStopping.load(ordering: .relaxed) {
            let isBusy = ledger.isBusy(withinMilliseconds: Self.expectationMilliseconds)
            if !isBusy || timepiece.monotonic() - start >= longest { return true }
            usleep(5000)
        }
        return false
    }
}

extension TrainingPlan {
    /// What the hub asks for; what it does not say is the package's.
    fileprivate init(_ defaults: TrainingDefaults, round: RoundConfig) {
        self.init(defaults, seed: round.seed)
        optimiser = round.optimiser
        learningRate = round.learningRate
        weightDecay = round.weightDecay
        momentum = round.momentum
        epochs = round.epochs
        batchStudies = round.batchStudies
    }
}
