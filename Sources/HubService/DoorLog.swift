// SPDX-License-Identifier: GPL-3.0-or-later
import HubStore
import Logging
import Synchronization
import ZeroMQ

/// Decides at the door by public key, and remembers who was turned away until the message thread writes it down.
///
/// `admit` runs on the ZAP handler's thread.
final class DoorLog: Sendable {
    struct Refusal: Hashable, Sendable {
        /// Empty for a stranger.
        let site: String
        let reason: String
    }

    static let unknownKey = "unknown-key"
    static let revokedKey = "revoked-key"

    private let store: HubStore
    private let logger: Logger
    /// Since the start, of sites and a few reasons.
    private let totals = Mutex<[Refusal: Int]>([:])
    private let counts = Mutex<[Refusal: Int]>([:])
    /// Keys that were logged; a peer that tries again every second is one line, and strangers cannot fill memory.
    private let logged = Mutex<Set<String>>([])
    private static let mostLogged = 1000

    init(store: HubStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// The user id of the connection, which is the site's public key; nil refuses it.
    func admit(_ publicKey: String) -> String? {
        do {
            let site = try store.site(publicKey: publicKey)
            if let site, !site.isRevoked { return publicKey }
            refuse(publicKey, Refusal(site: site?.name ?? "", reason: site == nil ? Self.unknownKey : Self.revokedKey))
        } catch {
            logger.error("cannot look up a key; the connection is refused", metadata: ["error": "\(error)"])
        }
        return nil
    }

    private func refuse(_ publicKey: String, _ refusal: Refusal) {
        counts.withLock { $0[refusal, default: 0] += 1 }
        let isNew = logged.withLock { $0.count < Self.mostLogged && $0.insert(publicKey).inserted }
        if isNew {
            logger.warning(
                "connection refused",
                metadata: ["reason": "\(refusal.reason)", "site": "\(refusal.site)", "public_key": "\(publicKey)"])
        }
    }

    /// What the connection limiter did; on its thread.
    func note(_ note: ConnectionLimiter.Note) {
        // Of a refused handshake the ZAP handler knows more; without one it was no ZeroMQ at all.
        guard case .ended(let reason, let publicKey) = note else { return }
        let site = publicKey.isEmpty ? nil : try? store.site(publicKey: publicKey)
        count(site?.name ?? "", reason.rawValue)
    }

    /// Remembers something else that was refused. Any thread.
    ///
    /// - Parameter detail: for the log.
    func count(_ site: String, _ reason: String, _ detail: String = "") {
        let refusal = Refusal(site: site, reason: reason)
        counts.withLock { $0[refusal, default: 0] += 1 }
        let count = totals.withLock { totals in
            totals[refusal, default: 0] += 1
            return totals[refusal] ?? 0
        }
        // One line for the first and then for each power of ten: a peer cannot fill the log.
        guard [1, 10, 100, 1_000, 10_000, 100_000].contains(count) else { return }
        logger.warning(
            "refused", metadata: ["reason": "\(reason)", "site": "\(site)", "count": "\(count)", "detail": "\(detail)"])
    }

    /// Writes down who was turned away since the last call.
    func flush(atMilliseconds now: Int64) throws {
        let counts = counts.withLock { counts in
            defer { counts = [:] }
            return counts
        }
        for (refusal, count) in counts {
            try store.refuse(
                site: refusal.site, round: 0, reason: refusal.reason, count: count, atMilliseconds: now)
        }
    }
}
