// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import Synchronization
import ZeroMQ

/// A hub that does what a test tells it, over real CURVE, on a thread of its own.
final class HubStand: Sendable {
    struct State {
        var hub: HubState
        /// By hash, for `fetch`.
        var files: [Hash: Data] = [:]
        var delta = Data()
        var offers: [DeltaManifest] = []
        var reports: [VersionReport] = []
        var sites: [SiteState] = []
        /// Verbs whose next messages get no answer.
        var silences: [String: Int] = [:]
        var refusal: DeltaRefusal?
        /// All clear text that came.
        var heard = Data()
    }

    let state: Mutex<State>
    let keys: CurveKeyPair
    let endpoint: String
    private let isStopping = Atomic<Bool>(false)
    private let doorkeeper: Doorkeeper
    private let thread = Mutex<ZeroMQ.Thread?>(nil)

    private struct Box: @unchecked Sendable {
        // Made here, used by the stand's thread alone from its start on.
        let socket: Socket
    }

    init(_ hub: HubState) throws {
        let context = try Context()
        keys = try CurveKeyPair.generate()
        doorkeeper = try Doorkeeper(in: context) { _ in "site" }
        state = Mutex(State(hub: hub))
        let box = Box(socket: try Socket(.router, in: context))
        try box.socket.serveCurve(keys)
        try box.socket.bind("tcp://127.0.0.1:*")
        endpoint = box.socket.lastEndpoint
        let thread = ZeroMQ.Thread { [self] in
            while !isStopping.load(ordering: .relaxed) {
                try? waitForInput(on: [box.socket], or: nil, timeoutMilliseconds: 20)
                while let frames = try? box.socket.receive() {
                    guard let answer = self.answer(Array(frames.dropFirst())),
                        let parts = try? answer.frames()
                    else { continue }
                    _ = try? box.socket.send([Frame(frames[0].bytes)] + parts)
                }
            }
        }
        try thread.start()
        self.thread.withLock { $0 = thread }
    }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
        doorkeeper.stop()
    }

    private func answer(_ frames: [Frame]) -> ToSite? {
        let parts = frames.map { Data($0.bytes) }
        guard let message = try? ToHub(parts: parts) else { return .error(name: "malformed", text: "?") }
        return state.withLock { state in
            for part in parts { state.heard += part }
            let verb = String(decoding: parts[0], as: UTF8.self).split(separator: " ").last.map(String.init) ?? ""
            if let left = state.silences[verb], left > 0 {
                state.silences[verb] = left - 1
                return nil
            }
            switch message {
            case .hello(let site):
                state.sites.append(site)
                return .welcome(state.hub)
            case .fetch(let hash, let offset, let length):
                guard let file = state.files[hash] else { return .error(name: "unknown-file", text: "none") }
                return .piece(hash: hash, offset: offset, bytes: file.dropFirst(offset).prefix(length))
            case .offer(let manifest):
                state.offers.append(manifest)
                if let refusal = state.refusal { return .refused(round: manifest.round, reason: refusal) }
                return state.delta.count == manifest.bytes
                    ? .accepted(round: manifest.round) : .resume(round: manifest.round, received: state.delta.count)
            case .chunk(let round, _, let offset, let bytes):
                if offset == state.delta.count { state.delta += bytes }
                return state.delta.count >= state.offers.last?.bytes ?? 0
                    ? .accepted(round: round) : .resume(round: round, received: state.delta.count)
            case .report(let report):
                state.reports.append(report)
                return .noted(version: report.version)
            }
        }
    }
}
