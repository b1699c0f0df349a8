// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

extension WorkerTransaction {
    // MARK: Packages

    public func package(_ hash: Hash) throws -> PackageRow? {
        try Row.fetchOne(db, sql: "SELECT * FROM package WHERE package = ?", arguments: [hash.hex]).map(PackageRow.init)
    }

    /// All packages, also those that only wait, by name.
    public func packages() throws -> [PackageRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM package ORDER BY name, installed_at_ms, package").map(PackageRow.init)
    }

    /// Packages that score new studies, by name.
    public func activePackages() throws -> [PackageRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM package WHERE state = 'active' ORDER BY name").map(PackageRow.init)
    }

    /// Makes a package active whose files are here, and adds it when it is new; an active one of the same name steps
    /// back for it.
    ///
    /// - Parameter by: the user who said so; empty for the worker itself.
    public func install(_ package: PackageRow, by: String = "") throws {
        let replaced = try activePackages().filter { $0.name == package.name && $0.package != package.package }
        for row in replaced {
            try set(.replaced, row)
            try audit(
                "package-replaced",
                ["package": row.package.hex, "by": package.package.hex, "name": package.name])
        }
        // What the hospital installs itself is not replaced by what is on its way from a hub.
        for row in try packages() where row.name == package.name && row.state == .approved && package.origin != .hub {
            try set(.waiting, row)
        }
        try add(package)
        try audit(
            "package-installed",
            [
                "package": package.package.hex, "name": package.name, "origin": package.origin.rawValue,
                "user": by,
            ])
    }

    /// Adds a package or changes its state and origin, without an audit entry.
    func add(_ package: PackageRow) throws {
        try db.execute(
            sql: """
                INSERT INTO package (package, name, manifest, state, origin, pinned, bytes, installed_at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (package) DO UPDATE SET
                    state = excluded.state, origin = excluded.origin, bytes = excluded.bytes
                """,
            arguments: [
                package.package.hex, package.name, package.manifest, package.state.rawValue, package.origin.rawValue,
                package.isPinned, package.bytes, package.installedAt,
            ])
    }

    func set(_ state: PackageRow.State, _ package: PackageRow) throws {
        try db.execute(
            sql: "UPDATE package SET state = ? WHERE package = ?", arguments: [state.rawValue, package.package.hex])
    }

    /// Stops packages that earlier settings named and these do not.
    ///
    /// - Returns: the ones that were stopped.
    public func unlist(allBut named: Set<Hash>) throws -> [PackageRow] {
        let gone = try activePackages().filter { $0.origin == .settings && !named.contains($0.package) }
        for row in gone {
            try set(.unlisted, row)
            try audit("package-unlisted", ["package": row.package.hex, "name": row.name])
        }
        return gone
    }

    /// Changes with everything that decides which versions score and which are fetched, judged and trained.
    public func modelDecisions() throws -> [String] {
        try String.fetchAll(
            db,
            sql: """
                SELECT package || state || pinned || coalesce(approved_parameters, '') || coalesce((
                    SELECT group_concat(model_version || model_version.state) FROM model_version
                    WHERE model_version.package = package.package AND model_version.state IN ('live', 'candidate')), '')
                FROM package LEFT JOIN hub_offer USING (package) ORDER BY package
                """)
    }

    // MARK: Offers of a hub

    /// Packages that wait for approval at most; a hub that offers more is not listened to about them.
    public static let mostPackagesWaiting = 16
    /// A package that waits is forgotten when the hub has not offered it for so long.
    private static let forgottenAfterMilliseconds: Int64 = 86_400_000

    public func offer(_ package: Hash) throws -> HubOffer? {
        try Row.fetchOne(db, sql: "SELECT * FROM hub_offer WHERE package = ?", arguments: [package.hex])
            .map(HubOffer.init)
    }

    /// Whether there is room for one more package that waits, after those that the hub no longer offers are forgotten.
    public func makeRoomForOffer(at: Int64) throws -> Bool {
        let old = try Row.fetchAll(
            db,
            sql: """
                SELECT package.* FROM package JOIN hub_offer USING (package)
                WHERE state = 'waiting' AND offered_at_ms < ?
                """, arguments: [at - Self.forgottenAfterMilliseconds]
        ).map(PackageRow.init)
        for row in old {
            try delete(row)
            try audit("package-withdrawn", ["package": row.package.hex, "name": row.name])
        }
        let waiting = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM package WHERE state = 'waiting'") ?? 0
        return waiting < Self.mostPackagesWaiting
    }

    /// Adds a package that a hub offers and that is not known here: it waits for approval.
    public func add(_ package: PackageRow, offered offer: HubOffer) throws {
        try add(package)
        try save(offer)
        try audit(
            "package-offered",
            [
                "package": package.package.hex, "name": package.name, "hub": offer.hub,
                "version": offer.version.id.hex, "round": String(offer.round), "bytes": String(package.bytes),
            ])
    }

    /// Notes what a hub offers now of a package that is known; what was approved of it stays.
    public func save(_ offer: HubOffer) throws {
        try db.execute(
            sql: """
                INSERT INTO hub_offer (
                    package, hub, parameters, parameters_bytes, round, sites_live, sites_refused, offered_at_ms,
                    approved_parameters, problem)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (package) DO UPDATE SET
                    hub = excluded.hub, parameters = excluded.parameters,
                    parameters_bytes = excluded.parameters_bytes, round = excluded.round,
                    sites_live = excluded.sites_live, sites_refused = excluded.sites_refused,
                    offered_at_ms = excluded.offered_at_ms
                """,
            arguments: [
                offer.version.package.hex, offer.hub, offer.version.parameters.hex, offer.parametersBytes, offer.round,
                offer.sitesLive, offer.sitesRefused, offer.offeredAt, offer.approved?.hex, offer.problem,
            ])
    }

    /// Notes why a package, or the version that the hub offers of it, is not taken; empty: it is.
    public func setProblem(_ problem: String, package: Hash) throws {
        try db.execute(
            sql: "UPDATE hub_offer SET problem = ? WHERE package = ? AND problem <> ?",
            arguments: [problem, package.hex, problem])
    }

    /// An approved package whose version cannot be taken waits for approval of another one.
    public func returnToWaiting(_ package: PackageRow, version: ModelVersion, why: String) throws {
        try set(.waiting, package)
        try db.execute(
            sql: "UPDATE hub_offer SET approved_parameters = NULL WHERE package = ?", arguments: [package.package.hex])
        try setProblem("version \(version.id.short): \(why)", package: package.package)
        try audit(
            "version-refused",
            ["package": package.package.hex, "version": version.id.hex, "why": why])
    }

    // MARK: Removal

    /// Deletes a package with its versions, examples and what is due to the hub; flags and labels stay.
    ///
    /// - Returns: files and folders that belonged to it, relative to the state directory.
    @discardableResult
    func delete(_ package: PackageRow) throws -> [String] {
        let hex = package.package.hex
        let examples = try String.fetchAll(
            db, sql: "SELECT file FROM example WHERE package = ? AND state <> 'dropped'", arguments: [hex])
        let deltas = try String.fetchAll(db, sql: "SELECT hash FROM delta WHERE package = ?", arguments: [hex])
        let parameters = try String.fetchAll(
            db,
            sql: """
                SELECT parameters FROM model_version WHERE package = :package AND parameters NOT IN (
                    SELECT parameters FROM model_version WHERE package <> :package)
                """, arguments: ["package": hex])
        for table in ["held_out_score", "validation", "version_judgement"] {
            try db.execute(
                sql: """
                    DELETE FROM \(table) WHERE model_version IN (
                        SELECT model_version FROM model_version WHERE package = ?)
                    """, arguments: [hex])
        }
        for table in ["example", "delta", "hub_offer", "hub_version", "model_version", "package"] {
            try db.execute(sql: "DELETE FROM \(table) WHERE package = ?", arguments: [hex])
        }
        return ["packages/\(hex)"] + examples.map { "examples/\($0)" }
            + deltas.map { "deltas/\($0).safetensors" } + parameters.map { "parameters/\($0).safetensors" }
    }
}
