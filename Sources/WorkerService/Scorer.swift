// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Tensors
import Torch

/// The thread that runs models. It takes what waits for one version, across studies, as much as one forward pass holds, so
/// that what is scored is told before the next pass. Versions are loaded before their first study comes, where there is time.
final class Scorer: Sendable {
    /// What the thread keeps loaded; lives on that thread.
    private struct Loaded {
        var model: TorchModel
        var lastUse: Int
    }

    /// Versions that are loaded beside the live ones: late instances of older studies may need one.
    private static let mostOldModels = 2
    /// So often the thread looks for new versions while nothing is to be scored.
    private static let lookMilliseconds: Int64 = 500

    private let jobs: Conveyor<ScoringJob>
    private let events: Conveyor<DeskEvent>
    private let models: LiveModels
    private let board: StatusBoard
    private let batchSlices: Int
    private let threads: Int
    private let log: Logger
    private let thread = OwnThread()

    init(
        settings: WorkerSettings, jobs: Conveyor<ScoringJob>, events: Conveyor<DeskEvent>, models: LiveModels,
        board: StatusBoard, log: Logger
    ) throws {
        self.jobs = jobs
        self.events = events
        self.models = models
        self.board = board
        self.log = log
        batchSlices = settings.batchSlices
        threads = settings.threads
        try thread.start { [self] in self.run() }
    }

    /// Ends the thread after the batch it works on; the job conveyor has to be closed first.
    func stop() {
        thread.join()
    }

    private func run() {
        TorchModel.useThreads(threads)
        var loaded: [Hash: Loaded] = [:]
        var unloadable: Set<Hash> = []
        var turn = 0
        while !jobs.isEnded {
            guard let first = jobs.take(upTo: 1, milliseconds: turn == 0 ? 0 : Self.lookMilliseconds).first else {
                loadLive(&loaded, &unloadable, turn)
                turn += 1
                continue
            }
            turn += 1
            var batch = [first]
            let batchSlices = min(batchSlices, InputShape(first.model.manifest.preprocessing).slicesAtOnce)
            var slices = first.frames
            batch += jobs.takeMatching { job in
                guard job.model.id == first.model.id else { return false }
                guard slices + job.frames <= batchSlices else { return nil }
                slices += job.frames
                return true
            }
            do {
                score(batch, try load(first.model, &loaded, turn))
            } catch {
                log.error("model \(first.model.manifest.name) \(first.model.id.short) cannot score: \(error)")
                for job in batch { fail(job, error) }
            }
        }
    }

    /// Loads one live version that is not loaded yet.
    private func loadLive(_ loaded: inout [Hash: Loaded], _ unloadable: inout Set<Hash>, _ turn: Int) {
        guard let next = models.all.first(where: { loaded[$0.id] == nil && !unloadable.contains($0.id) }) else {
            return
        }
        do {
            _ = try load(next, &loaded, turn)
        } catch {
            unloadable.insert(next.id)
            log.error("model \(next.manifest.name) \(next.id.short) cannot be loaded: \(error)")
        }
    }

    private func load(_ wanted: LiveModel, _ loaded: inout [Hash: Loaded], _ turn: Int) throws -> TorchModel {
        if let found = loaded[wanted.id] {
            loaded[wanted.id]?.lastUse = turn
            return found.model
        }
        let model = try TorchModel(file: wanted.modelFile, manifest: wanted.manifest)
        try model.setParameters(try Safetensors.read(wanted.parametersFile))
        // libtorch prepares itself for each number of slices anew.
        for slices in 1...min(batchSlices, model.shape.slicesAtOnce) { try model.warmUp(count: slices) }
        loaded[wanted.id] = Loaded(model: model, lastUse: turn)
        let live = Set(models.all.map(\.id))
        let old = loaded.filter { !live.contains($0.key) && $0.key != wanted.id }.sorted {
            $0.value.lastUse < $1.value.lastUse
        }
        for (id, _) in old.dropLast(Self.mostOldModels) { loaded[id] = nil }
        return model
    }

    private func score(_ batch: [ScoringJob], _ model: TorchModel) {
        let inputs = batch.count == 1 ? batch[0].inputs : Array(batch.map(\.inputs).joined())
        let frames = batch.reduce(0) { $0 + $1.frames }
        let start = ContinuousClock.now
        switch Result(catching: { () throws(TorchError) in try model.score(inputs, count: frames) }) {
        case .success(let probabilities):
            board.scored(
                batch[0].model.id, slices: frames, milliseconds: (ContinuousClock.now - start) / .milliseconds(1))
            var first = 0
            for job in batch {
                let count = job.frames * model.manifest.findings.count
                finish(job.work.jobScored(job, probabilities: probabilities[first..<first + count]))
                first += count
            }
        case .failure(let error) where batch.count == 1: fail(batch[0], error)
        case .failure:
            // One odd instance must not take the others of its batch with it.
            for job in batch { score([job], model) }
        }
    }

    private func fail(_ job: ScoringJob, _ error: any Error) {
        finish(job.work.jobFailed(name: "model-failed", reason: "model-failed: \(error)"))
    }

    private func finish(_ reading: InstanceReading?) {
        if let reading { events.put(.reading(reading)) }
    }
}
