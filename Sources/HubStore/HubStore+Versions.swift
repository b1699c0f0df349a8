// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import GRDB
import ModelPackage
import Rounds

/// Which version the next round starts from.
extension HubStore {
    /// What the enrolled sites made of a version.
    public func standing(of version: Hash) throws -> VersionStanding {
        try pool.read { try Self.standing($0, version.hex) }
    }

    private static func standing(_ db: Database, _ version: String) throws -> VersionStanding {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT count(*) FILTER (WHERE decision = 'live') AS live,
                    count(*) FILTER (WHERE decision = 'refused') AS refused
                FROM version_report JOIN site ON site.name = version_report.site
                WHERE version = ? AND revoked_at_ms IS NULL
                """, arguments: [version])
        return VersionStanding(live: row?["live"] ?? 0, refused: row?["refused"] ?? 0)
    }

    /// Makes the newest version that most sites have not refused the current one, by the rule of `VersionStanding`. A round
    /// on the refused version that nobody has contributed to yet is void; another one goes on.
    ///
    /// - Returns: the version that is current now; nil when nothing changed.
    public func leaveRefusedVersion(package: Hash, quorum: Int, atMilliseconds now: Int64) throws -> Version? {
        // The usual case costs one look.
        guard let model = try model(package: package),
            try standing(of: model.current.version.id).isRefusedByMost(quorum: quorum)
        else { return nil }
        return try pool.write { db in
            guard let model = try Self.model(db, package: package) else { return nil }
            if let active = try Self.activeNumber(db, package), let round = try Self.round(db, active),
                round.state == .aggregating || !round.contributions.isEmpty
            {
                return nil
            }
            let chain = try Self.chain(db, model)
            let standings = try chain.map { try Self.standing(db, $0.version.id.hex) }
            let start = VersionStanding.start(of: standings, quorum: quorum)
            guard start > 0 else { return nil }
            let why = "\(standings[0].refused) of \(standings[0].refused + standings[0].live) sites refused it"
            try Self.goBack(db, model, to: chain[start], why: why, now)
            return chain[start]
        }
    }

    /// Makes an older version the current one, as the operator wants. A round that is not over is void.
    ///
    /// - Parameters:
    ///   - name: the model's.
    ///   - version: a number, or the beginning of an id; nil takes the one that the current version was made from.
    /// - Throws: `HubStoreError.noModel`, `.noVersion`, `.refusedVersion`.
    public func rollBack(
        model name: String, to version: String?, quorum: Int, atMilliseconds now: Int64
    ) throws -> Version {
        try pool.write { db in
            guard
                let package = try String.fetchOne(
                    db, sql: "SELECT package FROM model WHERE name = ?", arguments: [name]
                ).flatMap(Hash.init(hex:)), let model = try Self.model(db, package: package)
            else { throw HubStoreError.noModel(name) }
            let all = try Row.fetchAll(
                db, sql: "SELECT * FROM version WHERE package = ? ORDER BY number", arguments: [package.hex]
            ).map(Self.version)
            let found: [Version]
            if let version {
                found = all.filter {
                    String($0.number) == version || version.count >= 6 && $0.version.id.hex.hasPrefix(version)
                }
            } else {
                found = all.filter { $0.version.id == model.current.parent }
            }
            guard found.count == 1, let target = found.first, target != model.current else {
                throw HubStoreError.noVersion(model: name, version: version ?? "before \(model.current.number)")
            }
            // The hub would leave it at once.
            let standing = try Self.standing(db, target.version.id.hex)
            if target.parent != nil, standing.isRefusedByMost(quorum: quorum) {
                throw HubStoreError.refusedVersion(
                    number: target.number, refused: standing.refused, decided: standing.refused + standing.live)
            }
            try Self.goBack(db, model, to: target, why: "the operator's command", now)
            return target
        }
    }

    /// The current version, the one it was made from, and so on to the package's own.
    private static func chain(_ db: Database, _ model: Model) throws -> [Version] {
        var chain = [model.current]
        while let parent = chain.last?.parent,
            let row = try Row.fetchOne(
                db, sql: "SELECT * FROM version WHERE id = ?", arguments: [parent.hex])
        {
            chain.append(try version(row))
        }
        return chain
    }

    private static func goBack(
        _ db: Database, _ model: Model, to version: Version, why: String, _ now: Int64
    ) throws {
        if let active = try activeNumber(db, model.package) {
            try void(db, active, reason: "the hub went back from version \(model.current.number): \(why)", now)
        }
        try db.execute(
            sql: "UPDATE model SET current_version = ? WHERE package = ?",
            arguments: [version.version.id.hex, model.package.hex])
        try AuditLog.append(
            db, event: "version-rolled-back",
            detail: [
                "model": model.name, "from": model.current.version.id.hex, "to": version.version.id.hex,
                "from_number": String(model.current.number), "to_number": String(version.number), "why": why,
            ], atMilliseconds: now)
    }
}
