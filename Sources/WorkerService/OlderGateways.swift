// SPDX-License-Identifier: GPL-3.0-or-later
import Wire

/// Gateways whose release sends an instance in one frame, however large it is (`Capabilities.pieceBytes`).
///
/// A frame above the socket's limit ends the connection before the worker sees anything of it, and the gateway would
/// send the same instance again for ever. So a gateway that loses its connection again and again right after its hello
/// gets no more credit, and is told why. Belongs to the link's thread.
struct OlderGateways {
    static let errorName = "older-release"

    private struct Gateway {
        var session: String
        var metAt: ContinuousClock.Instant
        var breaks = 0
        var isHeld = false
    }

    private var gateways: [String: Gateway] = [:]
    /// A connection that lasted longer was not ended by the first instance on it.
    private static let soon = Duration.seconds(30)
    private static let mostBreaks = 3

    /// Whether the gateway gets no instances over.
    func isHeld(_ gateway: String) -> Bool { gateways[gateway]?.isHeld ?? false }

    /// A gateway said hello.
    ///
    /// - Parameter isNew: over another connection than before.
    /// - Returns: what is wrong with it, once.
    mutating func met(
        _ name: String, _ session: String, _ capabilities: Capabilities, isNew: Bool,
        at now: ContinuousClock.Instant = .now
    ) -> String? {
        guard capabilities.pieceBytes == nil else {
            gateways[name] = nil
            return nil
        }
        guard var gateway = gateways[name], gateway.session == session else {
            gateways[name] = Gateway(session: session, metAt: now)
            return nil
        }
        defer { gateways[name] = gateway }
        guard isNew else { return nil }
        gateway.breaks = now - gateway.metAt < Self.soon ? gateway.breaks + 1 : 0
        gateway.metAt = now
        guard gateway.breaks >= Self.mostBreaks else { return nil }
        gateway.isHeld = true
        return "its libgantry.so is of an older release, which sends an instance in one piece, and the connection "
            + "breaks at an instance that is larger than this worker takes in one; it gets nothing to do until its "
            + "libgantry.so is that of this worker's release"
    }
}
