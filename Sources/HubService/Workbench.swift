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
        case inspected(ReceivedDelta, Swift.Result<DeltaRefusal?, any Error>)
        case aggregated(round: Int, Swift.Result<NewParameters, any Error>)
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
            put(.inspected(delta, Swift.Result { try inspection.refusal() }))
        }
    }

    func aggregate(_ round: Round, with aggregator: any Aggregator, in store: HubStore) {
        queue.async { [self] in
            put(.aggregated(round: round.number, Swift.Result { try Self.aggregate(round, aggregator, store) }))
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

    private static func aggregate(_ round: Round, _ aggregator: any Aggregator, _ store: HubStore) throws
        -> NewParameters
    {
        let contributions = try round.contributions.values.map { contribution in
            WeightedDelta(
                site: contribution.site, examples: contribution.examples,
                source: try SafetensorsFile(store.deltas.file(contribution.hash)))
        }
        let file = store.work.appending(path: "round-\(round.number).safetensors")
        try Aggregation(aggregator).write(
            base: try SafetensorsFile(store.blobs.file(round.base.parameters)), contributions: contributions, to: file)
        let hash = try Hash(ofFile: file)
        let bytes = try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
        try store.blobs.adopt(file, as: hash)
        return NewParameters(hash: hash, bytes: bytes)
    }
}
