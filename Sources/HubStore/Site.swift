// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import GRDB

/// An enrolled institution.
public struct Site: Sendable, Equatable {
    public let name: String
    /// CURVE public key, Z85.
    public let publicKey: String
    public let enrolledAtMilliseconds: Int64
    /// Nil while the site may connect.
    public let revokedAtMilliseconds: Int64?
    public let lastSeenMilliseconds: Int64?
    /// What the site said last.
    public let state: SiteState?

    public var isRevoked: Bool { revokedAtMilliseconds != nil }

    init(row: Row) {
        name = row["name"]
        publicKey = row["public_key"]
        enrolledAtMilliseconds = row["enrolled_at_ms"]
        revokedAtMilliseconds = row["revoked_at_ms"]
        lastSeenMilliseconds = row["last_seen_ms"]
        state = (row["state"] as String?).flatMap { try? JSONDecoder().decode(SiteState.self, from: Data($0.utf8)) }
    }
}
