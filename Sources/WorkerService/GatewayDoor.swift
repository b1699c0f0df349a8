// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Logging
import Synchronization
import ZeroMQ

/// Who may come in as a gateway, and as which.
///
/// ipc: the socket's file is this user's alone, so the operating system decides. tcp: only with CURVE, and a key stands
/// for one gateway name; a known key cannot speak as another gateway. Any thread.
final class GatewayDoor: Sendable {
    private let keys: CurveKeyPair?
    /// Gateway names by public key.
    private let names: [String: String]
    private let log: Logger
    private let refusals = Atomic<Int>(0)
    private let doorkeeper = Mutex<Doorkeeper?>(nil)

    /// Connections that were turned away since start, and messages under a false name.
    var refusedCount: Int { refusals.load(ordering: .relaxed) }

    /// Reads the keys that the settings name.
    ///
    /// - Throws: `CurveKeyFileError`, or `SettingsError` when two gateways have the same key.
    init(settings: WorkerSettings, log: Logger) throws {
        keys = try settings.key.map { try CurveKeyFile.readSecret(path: $0.path) }
        var names: [String: String] = [:]
        for (name, keyOrPath) in settings.gateways.sorted(by: { $0.key < $1.key }) {
            let key = try CurveKeyFile.publicKey(keyOrPath)
            if let other = names.updateValue(name, forKey: key) {
                throw SettingsError.badValue(
                    key: "gateways", expected: "a key of its own for each gateway; \(other) and \(name) have the same")
            }
        }
        self.names = names
        self.log = log
    }

    /// Makes a socket of `context` take connections from known gateways only. Call before it binds; once.
    func guardSocket(_ socket: Socket, in context: Context) throws(ZeroMQError) {
        guard let keys else { return }
        let names = names
        let doorkeeper = try Doorkeeper(in: context) { names[$0] }
        self.doorkeeper.withLock { $0 = doorkeeper }
        try socket.serveCurve(keys)
    }

    func stop() {
        doorkeeper.withLock { doorkeeper in
            defer { doorkeeper = nil }
            return doorkeeper
        }?.stop()
    }

    /// Whether the peer that sent `frame` may speak as `gateway`.
    func admits(_ frame: Frame, as gateway: String) -> Bool { keys == nil || frame.userID == gateway }

    /// A connection did not prove a known key, or a message came under a false name.
    func countRefusal(_ what: String) {
        let count = refusals.add(1, ordering: .relaxed).newValue
        // One line for the first and then for each power of ten: a stranger cannot fill the log.
        if [1, 10, 100, 1_000, 10_000, 100_000].contains(count) {
            log.warning("refusal \(count) at the gateways' endpoint: \(what)")
        }
    }
}
