// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

/// What an administrator decides about packages and versions. A worker that runs notices within a second; each decision
/// is in the audit log with who made it.
///
/// A package is chosen by its name or by the beginning of its hash, a version by the beginning of its id. All throw
/// `ModelDecisionError`.
extension WorkerTransaction {
    /// - Parameter states: the ones that make sense; a package in another is chosen only to say so.
    public func choose(_ choice: String, in states: Set<PackageRow.State>, to action: String) throws -> PackageRow {
        let all = try packages()
        let matching = all.filter { $0.matches(choice) }
        guard !matching.isEmpty else {
            throw ModelDecisionError.unknownPackage(choice, known: all.map(\.words))
        }
        let possible = matching.filter { states.contains($0.state) }
        if possible.count > 1 {
            throw ModelDecisionError.ambiguous(choice, candidates: possible.map(\.words))
        }
        guard let chosen = possible.first else {
            throw ModelDecisionError.notPossible("\(matching[0].words): there is nothing to \(action)")
        }
        return chosen
    }

    // MARK: What a hub offers

    /// Takes a package that a hub offers, with the version that it offers now. Its files are fetched next.
    ///
    /// - Parameter replacing: also when an own package of this name is active, which is then replaced.
    public func approve(_ choice: String, replacing: Bool, by: String) throws -> (package: PackageRow, offer: HubOffer)
    {
        let package = try choose(choice, in: [.waiting, .approved, .denied], to: "approve")
        guard let offer = try offer(package.package) else {
            throw ModelDecisionError.notPossible(
                "\(package.words): the hub has not offered it to this version of gantry")
        }
        let other = try activePackages().first { $0.name == package.name }
        if let other, !replacing {
            throw ModelDecisionError.notPossible(
                """
                \(other.words) is live under the same name, installed by \(other.origin.words); --replace lets \
                \(package.package.short) take its place
                """)
        }
        if let other, other.origin == .settings {
            throw ModelDecisionError.notPossible(
                """
                \(other.words) is named in the worker's settings, which always win: take it out of `packages` there and \
                start the worker again, then approve
                """)
        }
        try set(.approved, package)
        try db.execute(
            sql:
                "UPDATE hub_offer SET approved_parameters = parameters, approved_round = round, problem = '' WHERE package = ?",
            arguments: [package.package.hex])
        try decided("package-approved", package, by, ["version": offer.version.id.hex, "hub": offer.hub])
        return (package, offer)
    }

    /// Does not want a package that a hub offers, also when it offers it again.
    public func deny(_ choice: String, by: String) throws -> PackageRow {
        let package = try choose(choice, in: [.waiting, .approved], to: "deny")
        try set(.denied, package)
        try db.execute(
            sql: "UPDATE hub_offer SET approved_parameters = NULL, problem = '' WHERE package = ?",
            arguments: [package.package.hex])
        try decided("package-denied", package, by)
        return package
    }

    // MARK: What is installed

    /// Stops a package: it scores nothing and does not train, also after a restart.
    public func disable(_ choice: String, by: String) throws -> PackageRow {
        let package = try choose(choice, in: [.active], to: "disable")
        try set(.disabled, package)
        try decided("package-disabled", package, by)
        return package
    }

    /// Lets a package score and train again.
    public func enable(_ choice: String, by: String) throws -> PackageRow {
        let package = try choose(choice, in: [.disabled, .replaced, .unlisted], to: "enable")
        if let other = try activePackages().first(where: { $0.name == package.name }) {
            throw ModelDecisionError.notPossible(
                "\(other.words) is live under the same name; disable it first: gantry model disable \(other.package.short)"
            )
        }
        try set(.active, package)
        // The settings do not name it; the command does.
        if package.state == .unlisted {
            try db.execute(
                sql: "UPDATE package SET origin = 'command' WHERE package = ?", arguments: [package.package.hex])
        }
        try decided("package-enabled", package, by)
        return package
    }

    /// Deletes a package with its versions and examples; flags and labels stay.
    ///
    /// - Returns: the package, and the files and folders to delete once this is committed, relative to the state
    ///   directory.
    public func remove(_ choice: String, by: String) throws -> (package: PackageRow, paths: [String]) {
        let package = try choose(choice, in: Set(PackageRow.State.allCases), to: "remove")
        let paths = try delete(package)
        try decided("package-removed", package, by)
        return (package, paths)
    }

    // MARK: Versions

    /// Makes an earlier version live again. The one that was live counts as refused by this site.
    ///
    /// - Parameters:
    ///   - version: nil for the one that was live before.
    ///   - isKept: whether a version's parameters are on disk.
    public func rollBack(
        _ choice: String, to version: String?, by: String, at: Int64, isKept: (ModelVersion) -> Bool
    ) throws -> (package: PackageRow, from: VersionRow, to: VersionRow) {
        let package = try choose(choice, in: [.active, .disabled], to: "roll back")
        guard let live = try liveVersion(package: package.package) else {
            throw ModelDecisionError.notPossible("\(package.words) has no live version")
        }
        let earlier = try earlierVersions(package.package).filter { isKept($0.version) }
        let target: VersionRow
        if let version {
            target = try Self.choose(version, among: earlier)
        } else if let last = earlier.first {
            target = last
        } else {
            throw ModelDecisionError.notPossible(
                "\(package.words): no version was live before \(live.version.id.short) whose parameters are kept here")
        }
        var left = live
        left.state = .refused
        left.decidedAt = at
        left.isReportDue = true
        try save(left)
        try makeLive(target, at: at)
        try decided(
            "version-rolled-back", package, by,
            ["version": target.version.id.hex, "from": live.version.id.hex, "round": String(target.round)])
        return (package, live, target)
    }

    /// Keeps the live version, or the one that is named and becomes live, until the package is unpinned.
    public func pin(
        _ choice: String, version: String?, by: String, at: Int64, isKept: (ModelVersion) -> Bool
    ) throws -> (package: PackageRow, version: VersionRow) {
        let package = try choose(choice, in: [.active, .disabled], to: "pin")
        guard var pinned = try liveVersion(package: package.package) else {
            throw ModelDecisionError.notPossible("\(package.words) has no live version")
        }
        if let version, !pinned.version.id.hex.hasPrefix(version) {
            pinned = try Self.choose(
                version, among: try earlierVersions(package.package).filter { isKept($0.version) })
            try makeLive(pinned, at: at)
        }
        try db.execute(sql: "UPDATE package SET pinned = 1 WHERE package = ?", arguments: [package.package.hex])
        try decided("package-pinned", package, by, ["version": pinned.version.id.hex])
        return (package, pinned)
    }

    /// Lets new versions go through the guard again.
    public func unpin(_ choice: String, by: String) throws -> PackageRow {
        let package = try choose(choice, in: [.active, .disabled], to: "unpin")
        guard package.isPinned else { throw ModelDecisionError.notPossible("\(package.words) is not pinned") }
        try db.execute(sql: "UPDATE package SET pinned = 0 WHERE package = ?", arguments: [package.package.hex])
        try decided("package-unpinned", package, by)
        return package
    }

    /// Versions that were live and are not now, the last one first.
    public func earlierVersions(_ package: Hash) throws -> [VersionRow] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM model_version WHERE package = ? AND was_live = 1 AND state <> 'live'
                ORDER BY round DESC, decided_at_ms DESC
                """, arguments: [package.hex]
        ).map(VersionRow.init)
    }

    private func makeLive(_ version: VersionRow, at: Int64) throws {
        var version = version
        version.state = .live
        version.decidedAt = at
        version.isReportDue = true
        try save(version)
    }

    private static func choose(_ version: String, among known: [VersionRow]) throws -> VersionRow {
        let matching = version.isEmpty ? [] : known.filter { $0.version.id.hex.hasPrefix(version) }
        guard matching.count == 1, let only = matching.first else {
            throw ModelDecisionError.unknownVersion(version, known: known.map(\.version.id.short))
        }
        return only
    }

    private func decided(
        _ event: String, _ package: PackageRow, _ by: String, _ detail: [String: String] = [:]
    ) throws {
        try audit(
            event,
            detail.merging(["package": package.package.hex, "name": package.name, "by": by]) { own, _ in own })
    }
}

extension PackageRow {
    /// Digits of a hash that are enough to mean one.
    private static let fewestDigits = 6

    public func matches(_ choice: String) -> Bool {
        name == choice || choice.utf8.count >= Self.fewestDigits && package.hex.hasPrefix(choice)
    }

    /// Name, hash and state, for messages.
    public var words: String { "\(name) \(package.short) (\(state.words))" }
}

extension PackageRow.State {
    public var words: String {
        switch self {
        case .waiting: "waiting for approval"
        case .approved: "approved, being fetched"
        case .denied: "denied"
        case .active: "active"
        case .disabled: "disabled"
        case .replaced: "replaced by another of its name"
        case .unlisted: "no longer named in the settings"
        }
    }
}

extension PackageRow.Origin {
    public var words: String {
        switch self {
        case .settings: "the settings"
        case .command: "gantry model install"
        case .hub: "a hub"
        }
    }
}
