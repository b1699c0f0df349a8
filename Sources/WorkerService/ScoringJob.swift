// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// Some frames of one instance, preprocessed for one model version.
struct ScoringJob: Sendable {
    var work: InstanceWork
    /// Index in `InstanceWork.models`.
    var modelIndex: Int
    var firstFrame: Int
    var frames: Int
    /// frames × channels × height × width
    var inputs: [Float]

    var model: LiveModel { work.models[modelIndex] }
    var bytes: Int { inputs.count * MemoryLayout<Float>.size }
}

/// An instance between the decoder, which hands in frames, and the scorer, which hands in probabilities. Any thread.
final class InstanceWork: Sendable {
    private struct State {
        var openJobs = 0
        var isQueued = false
        var scores: [InstanceReading.Score]
        /// Indices of versions that run no more.
        var withoutModels: Set<Int> = []
        var failure: (name: String, reason: String)?
    }

    /// Why an instance has no score when none of its models runs any more.
    static let modelSetAside = "model-set-aside"

    let models: [LiveModel]
    private let arrival: Arrival
    private let identity: InstanceReading.Identity
    private let state: Mutex<State>

    init(arrival: Arrival, identity: InstanceReading.Identity, models: [LiveModel], frames: Int) {
        self.arrival = arrival
        self.identity = identity
        self.models = models
        state = Mutex(
            State(
                scores: models.map { model in
                    InstanceReading.Score(
                        model: model,
                        probabilities: [Float](repeating: 0, count: frames * model.manifest.findings.count),
                        kept: [])
                }))
    }

    /// Keeps preprocessed frames for the example, in order.
    func keep(_ slices: InstanceReading.KeptSlices, modelIndex: Int) {
        state.withLock { $0.scores[modelIndex].kept.append(slices) }
    }

    /// A job is on its way to the scorer.
    func jobQueued() {
        state.withLock { $0.openJobs += 1 }
    }

    /// No more jobs will come, because all frames are queued or because of `failure`.
    ///
    /// - Returns: the reading when nothing is open.
    func close(failure: (name: String, reason: String)? = nil) -> InstanceReading? {
        state.withLock { state in
            state.isQueued = true
            if let failure { state.failure = failure }
            return reading(state)
        }
    }

    func jobScored(_ job: ScoringJob, probabilities: ArraySlice<Float>) -> InstanceReading? {
        state.withLock { state in
            let findings = models[job.modelIndex].manifest.findings.count
            let range = job.firstFrame * findings..<(job.firstFrame + job.frames) * findings
            state.scores[job.modelIndex].probabilities.replaceSubrange(range, with: probabilities)
            state.openJobs -= 1
            return reading(state)
        }
    }

    func jobFailed(name: String, reason: String) -> InstanceReading? {
        state.withLock { state in
            state.failure = state.failure ?? (name, reason)
            state.openJobs -= 1
            return reading(state)
        }
    }

    /// The job's model runs no more: the instance is what its other models say, if it has others.
    func modelSetAside(_ job: ScoringJob, reason: String) -> InstanceReading? {
        state.withLock { state in
            state.withoutModels.insert(job.modelIndex)
            if state.withoutModels.count == models.count {
                state.failure = state.failure ?? (Self.modelSetAside, reason)
            }
            state.openJobs -= 1
            return reading(state)
        }
    }

    private func reading(_ state: State) -> InstanceReading? {
        guard state.isQueued, state.openJobs == 0 else { return nil }
        let kept = state.scores.indices.filter { !state.withoutModels.contains($0) }.map { state.scores[$0] }
        var outcome = InstanceReading.Outcome.scored(kept)
        if let failure = state.failure { outcome = .setAside(name: failure.name, reason: failure.reason) }
        return InstanceReading(arrival: arrival, identity: identity, outcome: outcome)
    }
}
