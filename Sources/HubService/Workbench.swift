// SPDX-License-Identifier: GPL-3.0-or-later
import Dispatch
import Federation
import Foundation
import HubStore
import ModelPackage
import Rounds
import Synchronization
import Tensors
import ZeroMQ

/// The thread that reads and computes whole models, so that the one that talks to the sites never waits for it.
///
/// One job at a time: two would need twice the memory and the same time. What comes out waits in a tray until the
/// message thread takes it; the tray holds at most one result for each site and each model.
final class Workbench: Sendable {
    enum Result: Sendable {
        case inspected(ReceivedDelta, Swift.Result<DeltaInspection.Fault?, any Error>)
        case aggregated(round: Int, Swift.Result<Aggregate, any Error>)
    }

    /// What a round's contributions make.
    enum Aggregate: Sendable, Equatable {
        /// These must not count; nothing was computed.
        case outOfLine([String: OutOfLine])
        /// - Parameter weights: what each site counted.
        case made(NewParameters, weights: [String: Double])
    }

    /// Parameters that lie in the store's blobs.
    struct NewParameters: Sendable, Equatable {
        let hash: Hash
        let bytes: Int
    }

    private let queue = DispatchQueue(label: "gantry-hub.workbench", qos: .utility)
    private let tray = Mutex<[Result]>([])
    private let wakeup: Wakeup

    /// - Parameter wakeup: signalled when there is a result to take.
    init(wakeup: Wakeup) { self.wakeup = wakeup }

    func inspect(_ delta: ReceivedDelta, with inspection: DeltaInspection) {
        queue.async { [self] in
            put(.inspected(delta, Swift.Result { try inspection.fault() }))
        }
    }

    func aggregate(
        _ round: Round, with aggregator: any Aggregator, _ settings: RoundSettings, in store: HubStore
    ) {
        queue.async { [self] in
            let outcome = Swift.Result { try Self.aggregate(round, aggregator, settings, store) }
            put(.aggregated(round: round.number, outcome))
        }
    }

    /// What was finished since the last call.
    func take() -> [Result] {
        tray.withLock { tray in
            defer { tray = [] }
            return tray
        }
    }

    private func put(_ result: Result) {
        tray.withLock { $0.append(result) }
        wakeup.signal()
    }

    private static func aggregate(
        _ round: Round, _ aggregator: any Aggregator, _ settings: RoundSettings, _ store: HubStore
    ) throws -> Aggregate {
        let weights = ContributionWeights.shares(
            round.contributions.mapValues(\.examples), largestShare: settings.largestShare)
        let contributions = try round.contributions.values.map { contribution in
            WeightedDelta(
                site: contribution.site, examples: contribution.examples, weight: weights[contribution.site] ?? 0,
                source: try SafetensorsFile(store.deltas.file(contribution.hash)))
        }
        let base = try SafetensorsFile(store.blobs.file(round.base.parameters))
        let outOfLine = try settings.screening.run(base: base, contributions: contributions)
        guard outOfLine.isEmpty else { return .outOfLine(outOfLine) }
        let file = store.work.appending(path: "round-\(round.number).safetensors")
        try Aggregation(aggregator).write(base: base, contributions: contributions, to: file)
        let hash = try Hash(ofFile: file)
        let bytes = try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
        try store.blobs.adopt(file, as: hash)
        return .made(NewParameters(hash: hash, bytes: bytes), weights: weights)
    }
}
