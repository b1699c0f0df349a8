// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import Foundation
import GRDB
import Rounds
import ZeroMQ

extension HubStore {
    /// Enrols a site by its public key; a revoked site comes back with a new key.
    public func addSite(name: String, publicKey: String, atMilliseconds now: Int64) throws {
        guard name.isSiteName else { throw HubStoreError.badSiteName(name) }
        guard CurveKeyPair.isKey(publicKey) else { throw HubStoreError.badKey(publicKey) }
        try pool.write { db in
            if let owner = try String.fetchOne(
                db, sql: "SELECT name FROM site WHERE public_key = ?", arguments: [publicKey])
            {
                throw owner == name ? HubStoreError.siteExists(name) : HubStoreError.keyInUse(site: owner)
            }
            try db.execute(
                sql: """
                    INSERT INTO site (name, public_key, enrolled_at_ms) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET public_key = excluded.public_key, revoked_at_ms = NULL,
                        enrolled_at_ms = excluded.enrolled_at_ms, last_seen_ms = NULL, state = NULL
                    WHERE revoked_at_ms IS NOT NULL
                    """, arguments: [name, publicKey, now])
            guard db.changesCount == 1 else { throw HubStoreError.siteExists(name) }
            try AuditLog.append(
                db, event: "site-enrolled", detail: ["site": name, "public_key": publicKey], atMilliseconds: now)
        }
    }

    /// Cuts a site off: its key is refused, and what it gave to rounds that are not over does not count.
    ///
    /// A round whose aggregation has begun keeps the site's contribution.
    public func revokeSite(name: String, atMilliseconds now: Int64) throws {
        try pool.write { db in
            try db.execute(
                sql: "UPDATE site SET revoked_at_ms = ? WHERE name = ? AND revoked_at_ms IS NULL",
                arguments: [now, name])
            guard db.changesCount == 1 else { throw HubStoreError.noSite(name) }
            let open = "site = ? AND round IN (SELECT number FROM round WHERE state = 'open')"
            try db.execute(sql: "DELETE FROM contribution WHERE \(open)", arguments: [name])
            try db.execute(sql: "DELETE FROM cohort WHERE \(open)", arguments: [name])
            try db.execute(
                sql: "UPDATE delta SET state = ?, changed_at_ms = ? WHERE \(open)",
                arguments: [ReceivedDelta.State.withdrawn.rawValue, now, name])
            try AuditLog.append(db, event: "site-revoked", detail: ["site": name], atMilliseconds: now)
        }
    }

    /// All sites by name, revoked ones too.
    public func sites() throws -> [Site] {
        try pool.read { try Row.fetchAll($0, sql: "SELECT * FROM site ORDER BY name").map(Site.init(row:)) }
    }

    /// The site that owns a key, revoked or not; nil for a stranger.
    public func site(publicKey: String) throws -> Site? {
        try pool.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM site WHERE public_key = ?", arguments: [publicKey])
                .map(Site.init(row:))
        }
    }

    /// Writes down when sites were heard last and, where they said hello, what they said.
    public func recordPresence(_ presence: [String: (seenAtMilliseconds: Int64, state: SiteState?)]) throws {
        if presence.isEmpty { return }
        try pool.write { db in
            for (name, heard) in presence {
                let state = try heard.state.map { try Self.json($0) }
                try db.execute(
                    sql: "UPDATE site SET last_seen_ms = ?, state = coalesce(?, state) WHERE name = ?",
                    arguments: [heard.seenAtMilliseconds, state, name])
            }
        }
    }
}
