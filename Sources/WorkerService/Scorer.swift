// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Tensors
import Torch

/// The thread that lets models score. It takes what waits for one version, across studies, as much as one forward pass
/// holds, so that what is scored is told before the next pass. Versions are loaded before their first study comes, where
/// there is time, each in a process of its own.
///
/// A batch over which a model's process died or hung is tried again in a fresh one, instance by instance; an instance over
/// which two die is set aside. A model that hangs twice in a row, dies over three instances in a row or while it is loaded,
/// or tries something forbidden, is itself set aside.
final class Scorer: Sendable {
    /// What the thread keeps loaded; lives on that thread.
    private struct Loaded {
        var models: [Hash: (model: TorchModel, lastUse: Int)] = [:]
        var unloadable: Set<Hash> = []
        /// By package: what went wrong since the model last answered.
        var troubles: [Hash: Troubles] = [:]
        var turn = 0
    }

    private struct Troubles {
        var hangs = 0
        var lostInstances = 0
    }

    /// Versions that are loaded beside the live ones: late instances of older studies may need one.
    private static let mostOldModels = 2
    /// So often the thread looks for new versions while nothing is to be scored.
    private static let lookMilliseconds: Int64 = 500
    private static let retryMilliseconds: Int64 = 500
    private static let mostHangs = 2
    private static let mostLostInstances = 3

    private let jobs: Conveyor<ScoringJob>
    private let events: Conveyor<DeskEvent>
    private let models: LiveModels
    private let shelf: ModelShelf
    private let board: StatusBoard
    private let batchSlices: Int
    private let threads: Int
    private let log: Logger
    private let thread = OwnThread()

    init(
        settings: WorkerSettings, jobs: Conveyor<ScoringJob>, events: Conveyor<DeskEvent>, models: LiveModels,
        shelf: ModelShelf, board: StatusBoard, log: Logger
    ) throws {
        self.jobs = jobs
        self.events = events
        self.models = models
        self.shelf = shelf
        self.board = board
        self.log = log
        batchSlices = settings.batchSlices
        threads = settings.threads
        try thread.start { [self] in self.run() }
    }

    /// Ends the thread; the job conveyor has to be closed first. Without `ModelSandbox.interrupt` before, it ends after the
    /// batch it works on.
    func stop() {
        thread.join()
    }

    private func run() {
        var loaded = Loaded()
        while !jobs.isEnded {
            let wait = loaded.turn == 0 ? 0 : Self.lookMilliseconds
            guard let first = jobs.take(upTo: 1, milliseconds: wait).first else {
                loadLive(&loaded)
                loaded.turn += 1
                continue
            }
            loaded.turn += 1
            var batch = [first]
            let batchSlices = min(batchSlices, InputShape(first.model.manifest.preprocessing).slicesAtOnce)
            var slices = first.frames
            batch += jobs.takeMatching { job in
                guard job.model.id == first.model.id else { return false }
                guard slices + job.frames <= batchSlices else { return nil }
                slices += job.frames
                return true
            }
            serve(batch, &loaded)
        }
    }

    // MARK: Loading

    /// Loads one live version that is not loaded yet.
    private func loadLive(_ loaded: inout Loaded) {
        let next = models.all.first { loaded.models[$0.id] == nil && !loaded.unloadable.contains($0.id) }
        guard let next else { return }
        do {
            _ = try load(next, &loaded)
        } catch TorchError.cancelled {
            return
        } catch {
            if !noteLoading(error, of: next) { loaded.unloadable.insert(next.id) }
            log.error("model \(next.manifest.name) \(next.id.short) cannot be loaded: \(error)")
        }
    }

    private func load(_ wanted: LiveModel, _ loaded: inout Loaded) throws -> TorchModel {
        if let found = loaded.models[wanted.id] {
            loaded.models[wanted.id]?.lastUse = loaded.turn
            return found.model
        }
        let parameters = try Safetensors.read(wanted.parametersFile)
        let model = try TorchModel(
            file: wanted.modelFile, manifest: wanted.manifest, in: shelf.sandbox, threads: threads)
        try model.setParameters(parameters)
        // libtorch prepares itself for each number of slices anew.
        for slices in 1...min(batchSlices, model.shape.slicesAtOnce) { try model.warmUp(count: slices) }
        loaded.models[wanted.id] = (model, loaded.turn)
        let live = Set(models.all.map(\.id))
        let old = loaded.models.filter { !live.contains($0.key) && $0.key != wanted.id }.sorted {
            $0.value.lastUse < $1.value.lastUse
        }
        for (id, _) in old.dropLast(Self.mostOldModels) { loaded.models[id] = nil }
        return model
    }

    /// What a model does before it has seen an instance it will do again.
    ///
    /// - Returns: whether the error says nothing about the model, so that it may be tried again.
    private func noteLoading(_ error: any Error, of model: LiveModel) -> Bool {
        switch error {
        case TorchError.unavailable, TorchError.cancelled: return true
        case TorchError.process(let failure): setAside(model, because: "while it was loaded: \(failure)")
        case let error as TorchError: setAside(model, because: "it cannot be loaded: \(error)")
        default: break
        }
        return false
    }

    private func setAside(_ model: LiveModel, because reason: String) {
        shelf.setAside(model.version.package, name: model.manifest.name, because: reason)
    }

    // MARK: Scoring

    /// Sees that every job of a batch is answered, unless the worker stops.
    private func serve(_ batch: [ScoringJob], _ loaded: inout Loaded) {
        guard let wanted = batch.first?.model else { return }
        let package = wanted.version.package
        var isAgain = false
        while !jobs.isEnded {
            if let reason = shelf.reasonSetAside(package) {
                loaded.models[wanted.id] = nil
                let text = "model \(wanted.manifest.name) set aside: \(reason)"
                for job in batch { finish(job.work.modelSetAside(job, reason: text)) }
                return
            }
            let model: TorchModel
            do {
                model = try load(wanted, &loaded)
            } catch TorchError.cancelled {
                return
            } catch TorchError.unavailable(let reason) {
                log.error("no model process can be started: \(reason); trying again")
                usleep(UInt32(Self.retryMilliseconds * 1000))
                continue
            } catch {
                log.error("model \(wanted.manifest.name) \(wanted.id.short) cannot score: \(error)")
                _ = noteLoading(error, of: wanted)
                if shelf.reasonSetAside(package) == nil {
                    for job in batch { fail(job, error) }
                    return
                }
                continue
            }
            do throws(TorchError) {
                try score(batch, model)
                loaded.troubles[package] = nil
                return
            } catch {
                switch error {
                case .cancelled, .unavailable: return
                case .process(let failure):
                    loaded.models[wanted.id] = nil
                    note(failure, of: wanted, &loaded)
                    if shelf.reasonSetAside(package) == nil, batch.count == 1, isAgain {
                        lose(batch[0], failure, &loaded)
                        return
                    }
                    isAgain = true
                default:
                    if batch.count == 1 {
                        fail(batch[0], error)
                        return
                    }
                }
                // One odd instance must not take the others of its batch with it.
                if batch.count > 1 {
                    for job in batch { serve([job], &loaded) }
                    return
                }
            }
        }
    }

    private func score(_ batch: [ScoringJob], _ model: TorchModel) throws(TorchError) {
        let inputs = batch.count == 1 ? batch[0].inputs : Array(batch.map(\.inputs).joined())
        let frames = batch.reduce(0) { $0 + $1.frames }
        let start = ContinuousClock.now
        let probabilities = try model.score(inputs, count: frames)
        board.scored(batch[0].model.id, slices: frames, milliseconds: (ContinuousClock.now - start) / .milliseconds(1))
        var first = 0
        for job in batch {
            let count = job.frames * model.manifest.findings.count
            finish(job.work.jobScored(job, probabilities: probabilities[first..<first + count]))
            first += count
        }
    }

    private func note(_ failure: ProcessFailure, of model: LiveModel, _ loaded: inout Loaded) {
        var troubles = loaded.troubles[model.version.package] ?? Troubles()
        if failure.kind == .hung { troubles.hangs += 1 }
        loaded.troubles[model.version.package] = troubles
        if failure.kind == .forbidden {
            setAside(model, because: failure.reason)
        } else if troubles.hangs >= Self.mostHangs {
            setAside(model, because: "\(failure), \(troubles.hangs) times in a row")
        }
    }

    /// An instance over which two processes ended.
    private func lose(_ job: ScoringJob, _ failure: ProcessFailure, _ loaded: inout Loaded) {
        let package = job.model.version.package
        loaded.troubles[package, default: Troubles()].lostInstances += 1
        let count = loaded.troubles[package]?.lostInstances ?? 0
        if count >= Self.mostLostInstances {
            setAside(job.model, because: "\(failure), over \(count) instances in a row")
        }
        finish(
            job.work.jobFailed(name: failure.kind.rawValue, reason: "\(failure.kind.rawValue): \(failure), twice"))
    }

    private func fail(_ job: ScoringJob, _ error: any Error) {
        finish(job.work.jobFailed(name: "model-failed", reason: "model-failed: \(error)"))
    }

    private func finish(_ reading: InstanceReading?) {
        if let reading { events.put(.reading(reading)) }
    }
}
