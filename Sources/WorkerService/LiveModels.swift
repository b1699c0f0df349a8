// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Synchronization
import Triage
import WorkerStore

/// Which versions read which study. Any thread.
///
/// A study is read to its end by the versions that read its first instance, also when a new version goes live in the
/// meantime: one study, one version, one final flag.
final class LiveModels: Sendable {
    private struct State {
        var live: [LiveModel] = []
        var pinned: [StudyKey: [LiveModel]] = [:]
        /// Packages that run no more, and why.
        var setAside: [Hash: String] = [:]

        var running: [LiveModel] { live.filter { setAside[$0.version.package] == nil } }
    }

    private let state = Mutex(State())

    /// The versions that read new studies, by package name.
    var all: [LiveModel] { state.withLock { $0.running } }

    /// The live versions that run no more, and why.
    var setAside: [(model: LiveModel, reason: String)] {
        state.withLock { state in
            state.live.compactMap { model in state.setAside[model.version.package].map { (model, $0) } }
        }
    }

    /// Why no version of a package runs any more; nil: they run.
    func reasonSetAside(_ package: Hash) -> String? { state.withLock { $0.setAside[package] } }

    /// No version of a package runs from now on, whatever is live.
    ///
    /// - Returns: false when it was set aside already.
    func setAside(_ package: Hash, because reason: String) -> Bool {
        state.withLock { state in
            guard state.setAside[package] == nil else { return false }
            state.setAside[package] = reason
            return true
        }
    }

    func replace(with models: [LiveModel]) {
        state.withLock { $0.live = models.sorted { $0.manifest.name < $1.manifest.name } }
    }

    /// What a decoder has to know about an instance to choose.
    struct Traits {
        var study: StudyKey
        var modality: String
        var bodyPart: String
        var sopClassUID: String
    }

    enum Choice {
        case read([LiveModel])
        /// No version takes it; the text says why.
        case ignore(String)
        /// A version takes it that runs no more; the text says why.
        case setAside(String)
    }

    /// The versions that read an instance.
    ///
    /// - Parameter known: the versions that the database names for the study; asked when the study is not in memory.
    func choose(_ traits: Traits, known: () throws -> [LiveModel]) rethrows -> Choice {
        let isPinned = state.withLock { $0.pinned[traits.study] != nil }
        let stored = isPinned ? [] : try known()
        return state.withLock { state in
            let pinned = state.pinned[traits.study] ?? stored
            var chosen: [LiveModel] = []
            var refusals: [String] = []
            var setAside: [String] = []
            for live in state.live {
                let model = pinned.first { $0.version.package == live.version.package } ?? live
                let refusal = model.manifest.takes.refusal(
                    modality: traits.modality, bodyPart: traits.bodyPart, sopClassUID: traits.sopClassUID)
                if let refusal {
                    if !refusals.contains(refusal) { refusals.append(refusal) }
                } else if let reason = state.setAside[model.version.package] {
                    setAside.append("model \(model.manifest.name) set aside: \(reason)")
                } else {
                    chosen.append(model)
                }
            }
            guard !chosen.isEmpty else {
                if !setAside.isEmpty { return .setAside(setAside.joined(separator: "; ")) }
                return .ignore(
                    refusals.isEmpty ? "no model is live" : "no live model takes \(refusals.joined(separator: " or "))")
            }
            let new = chosen.filter { model in !pinned.contains { $0.version.package == model.version.package } }
            state.pinned[traits.study] = pinned + new
            return .read(chosen)
        }
    }

    /// Forgets the choice for a study whose flags are in the database.
    func release(_ study: StudyKey) {
        state.withLock { _ = $0.pinned.removeValue(forKey: study) }
    }
}
