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
    }

    private let state = Mutex(State())

    /// The versions that read new studies, by package name.
    var all: [LiveModel] { state.withLock { $0.live } }

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
            for live in state.live {
                let model = pinned.first { $0.version.package == live.version.package } ?? live
                let refusal = model.manifest.takes.refusal(
                    modality: traits.modality, bodyPart: traits.bodyPart, sopClassUID: traits.sopClassUID)
                if let refusal {
                    if !refusals.contains(refusal) { refusals.append(refusal) }
                } else {
                    chosen.append(model)
                }
            }
            guard !chosen.isEmpty else {
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
