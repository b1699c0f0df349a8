// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ZeroMQ

/// A scripted site: one CURVE connection that asks and waits. Used by one task.
final class SiteClient {
    struct NoAnswer: Error {}

    private let socket: Socket

    init(_ keys: CurveKeyPair, hub: RunningHub) throws {
        socket = try Socket(.dealer, in: try Context())
        try socket.useCurve(serverKey: hub.keys.publicKey, keys: keys)
        try socket.connect(hub.endpoint)
    }

    /// The answer to raw frames.
    func ask(parts: [Data], deadline: Duration = .seconds(20)) async throws -> ToSite {
        _ = try socket.send(parts.frames)
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end {
            if let frames = try socket.receive() { return try ToSite(frames: frames) }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw NoAnswer()
    }

    func ask(_ message: ToHub) async throws -> ToSite { try await ask(parts: try message.parts()) }

    /// The hub's models as this site sees them.
    func hello(_ state: SiteState) async throws -> HubState {
        guard case .welcome(let hub) = try await ask(.hello(state)) else { throw NoAnswer() }
        return hub
    }

    /// Says hello until the hub invites the site to a round.
    func round(_ state: SiteState) async throws -> RoundConfig {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if let round = try await hello(state).models.first?.round { return round }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw NoAnswer()
    }

    /// Offers a delta and sends it in pieces until the hub has decided.
    func send(_ bytes: Data, _ manifest: DeltaManifest, piece: Int = 100) async throws -> ToSite {
        var answer = try await ask(.offer(manifest))
        while case .resume(_, let received) = answer {
            answer = try await ask(
                .chunk(
                    round: manifest.round, hash: manifest.hash, offset: received,
                    bytes: bytes.dropFirst(received).prefix(piece)))
        }
        return answer
    }
}
