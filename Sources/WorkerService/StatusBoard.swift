// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Sandbox
import Synchronization
import WorkerStore

/// What the worker says about itself to its gateways: versions, labels, training, federation. Any thread.
final class StatusBoard: Sendable {
    struct Training: Encodable, Equatable {
        /// `idle`, `training`, `judging` or `failed`.
        var state = "idle"
        var round: Int?
        /// 0…1
        var progress: Double?
        /// Mean loss of the last step.
        var loss: Double?
        /// Why it failed.
        var problem: String?
    }

    struct Federation: Encodable, Equatable {
        /// `off`, `connecting`, `connected` or `failed`.
        var state: String
        /// The site's name at the hub.
        var site: String?
        /// The open round, if there is one.
        var round: Int?
        var bytesSent: Int64 = 0
        var bytesReceived: Int64 = 0
        var problem: String?
        /// When the hub's audit log was last found to be rewritten, cut off or restored; nil for never.
        var hubLogRewrittenAtMs: Int64?
        /// Open rounds that ask for more than this site allows.
        var declined: [DeclinedRounds.Round] = []
    }

    private struct State {
        var training = Training()
        var federation: Federation
        var setAside: [String: Int] = [:]
        var documents = StatusDocument.Documents()
        var decoderFailures: [String: Int] = [:]
        var modelFailures: [String: Int] = [:]
        var decoderLayers: SandboxLayers?
        var modelLayers: SandboxLayers?
        /// By `LiveModel.id`.
        var scoring: [Hash: ScoringTimes] = [:]
        var database = StatusDocument.Databases(setAside: 0)
        var hasChanged = true
    }

    private static let mostPackages = 64

    private let state: Mutex<State>
    private let refusals = Mutex<@Sendable () -> Int>({ 0 })
    private let onLabels = Mutex<@Sendable () -> Void>({})

    init(isFederated: Bool) {
        state = Mutex(State(federation: Federation(state: isFederated ? "connecting" : "off")))
    }

    func update(_ body: (inout Training) -> Void) {
        state.withLock { state in
            let before = state.training
            body(&state.training)
            // Progress alone waits for the next regular message.
            if before.state != state.training.state || before.round != state.training.round { state.hasChanged = true }
        }
    }

    func updateFederation(_ body: (inout Federation) -> Void) {
        state.withLock { state in
            let before = state.federation
            body(&state.federation)
            if before.state != state.federation.state || before.round != state.federation.round
                || before.problem != state.federation.problem || before.declined != state.federation.declined
            {
                state.hasChanged = true
            }
        }
    }

    /// A decoder process died or hung and was replaced.
    func decoderFailed(_ name: String) {
        state.withLock { $0.decoderFailures[name, default: 0] += 1 }
    }

    /// A decoder process runs, confined by these layers. True when that is news.
    func decoderStarted(_ layers: SandboxLayers) -> Bool {
        state.withLock { state in
            defer { state.decoderLayers = layers }
            return state.decoderLayers != layers
        }
    }

    /// A model process runs, confined by these layers. True when that is news.
    func modelStarted(_ layers: SandboxLayers) -> Bool {
        state.withLock { state in
            defer { state.modelLayers = layers }
            return state.modelLayers != layers
        }
    }

    /// A model process died, hung or tried something forbidden.
    func modelProcessFailed(_ name: String) {
        state.withLock { state in
            state.modelFailures[name, default: 0] += 1
            state.hasChanged = true
        }
    }

    /// A forward pass of a version is done.
    func scored(_ version: Hash, slices: Int, milliseconds: Double) {
        state.withLock { $0.scoring[version, default: ScoringTimes()].add(slices: slices, milliseconds: milliseconds) }
    }

    /// Something changed that gateways should hear about soon.
    func versionsChanged() {
        state.withLock { $0.hasChanged = true }
    }

    func labelsChanged() {
        state.withLock { $0.hasChanged = true }
        onLabels.withLock { $0 }()
    }

    /// - Parameter body: called from any thread after new labels are committed.
    func whenLabelsChange(_ body: @escaping @Sendable () -> Void) {
        onLabels.withLock { $0 = body }
    }

    /// - Parameter body: gives the number of connections that were turned away.
    func countRefusals(with body: @escaping @Sendable () -> Int) {
        refusals.withLock { $0 = body }
    }

    /// Damaged databases in the state directory.
    func databasesSetAside(_ databases: (count: Int, last: SetAside?)) {
        let last = databases.last.map {
            StatusDocument.Databases.Last(path: $0.path, reason: $0.reason, atMs: $0.at)
        }
        state.withLock { $0.database = StatusDocument.Databases(setAside: databases.count, lastSetAside: last) }
    }

    func refreshSetAside(_ store: WorkerStore) {
        guard let counts = try? store.read({ try $0.setAsideCounts() }) else { return }
        state.withLock { $0.setAside = counts }
    }

    func refreshDocuments(_ store: WorkerStore) {
        let documents = try? store.read { transaction in
            let counts = try transaction.documentCounts()
            return StatusDocument.Documents(
                taken: counts["taken"] ?? 0, waiting: counts["waiting"] ?? 0, dropped: counts["dropped"] ?? 0,
                rejectedStudies: try transaction.rejectedStudyCount())
        }
        if let documents { state.withLock { $0.documents = documents } }
    }

    /// True once after a change.
    func takeChange() -> Bool {
        state.withLock { state in
            defer { state.hasChanged = false }
            return state.hasChanged
        }
    }

    /// The payload of `model-status`.
    ///
    /// - Parameter setAside: models that run no more, and why.
    func document(
        store: WorkerStore, models: [LiveModel], setAside: [(model: LiveModel, reason: String)] = [],
        figures: SiteFigures, queued: Int
    ) -> Data {
        let scoring = state.withLock { state in
            let ids = Set(models.map(\.id))
            state.scoring = state.scoring.filter { ids.contains($0.key) }
            return state.scoring
        }
        let live = models.map {
            StatusDocument.Live($0, store: store, figures: figures, scoring: scoring[$0.id])
        }
        let refused = refusals.withLock { $0 }()
        let results = try? store.read { try $0.resultCounts() }
        let packages = try? store.read { transaction in
            try transaction.packages().prefix(Self.mostPackages).map {
                try StatusDocument.Package($0, try transaction.offer($0.package))
            }
        }
        let document = state.withLock { state in
            StatusDocument(
                live: live, packages: packages ?? [], training: state.training, federation: state.federation,
                database: state.database,
                connections: StatusDocument.Connections(refused: refused), setAside: state.setAside,
                documents: state.documents,
                decoderFailures: state.decoderFailures, modelFailures: state.modelFailures,
                modelsSetAside: setAside.map {
                    .init(
                        name: $0.model.manifest.name, package: $0.model.version.package.hex,
                        version: $0.model.id.hex, reason: $0.reason)
                },
                sandbox: state.decoderLayers.map { .init(inForce: $0.names, missing: $0.missing) },
                modelSandbox: state.modelLayers.map { .init(inForce: $0.names, missing: $0.missing) },
                queue: StatusDocument.Queue(instances: queued),
                results: results.map { .init(due: $0.due, unsent: $0.unsent, failed: $0.failed) })
        }
        return document.encoded()
    }
}
