// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import Foundation
import GRDB
import ModelPackage
import Rounds

extension HubStore {
    /// Opens a round on a model's current version.
    ///
    /// - Returns: nil when the model has a round that is not over.
    @discardableResult
    public func openRound(
        package: Hash, cohort: Set<String>, settings: RoundSettings, atMilliseconds now: Int64
    ) throws -> Round? {
        try pool.write { db in
            guard let model = try Self.model(db, package: package),
                try Self.activeNumber(db, package) == nil
            else { return nil }
            let base = model.current.version
            try db.execute(
                sql: """
                    INSERT INTO round (package, base, state, quorum, opened_at_ms, deadline_ms, config)
                    VALUES (?, ?, 'open', ?, ?, ?, '')
                    """,
                arguments: [
                    package.hex, base.id.hex, settings.quorum, now, now + Int64(settings.deadlineSeconds) * 1000,
                ])
            let number = Int(db.lastInsertedRowID)
            let config = settings.config(round: number, base: base, defaults: model.manifest.training)
            try db.execute(
                sql: "UPDATE round SET config = ? WHERE number = ?", arguments: [try Self.json(config), number])
            for site in cohort.sorted() {
                let said = try Row.fetchOne(db, sql: "SELECT * FROM site WHERE name = ?", arguments: [site])
                    .map(Site.init(row:))?.state?.packages.first { $0.package == package }
                try db.execute(
                    sql: "INSERT INTO cohort (round, site, training_labels, total_labels) VALUES (?, ?, ?, ?)",
                    arguments: [number, site, said.map(LabelCount.training) ?? 0, said.map(LabelCount.total) ?? 0])
            }
            try AuditLog.append(
                db, event: "round-opened",
                detail: [
                    "round": String(number), "model": model.name, "base": base.id.hex,
                    "cohort": cohort.sorted().joined(separator: " "), "quorum": String(settings.quorum),
                ], atMilliseconds: now)
            return try Self.round(db, number)
        }
    }

    /// The round with this number; nil when there never was one.
    public func round(_ number: Int) throws -> Round? {
        try pool.read { try Self.round($0, number) }
    }

    /// A model's round that is not over.
    public func activeRound(package: Hash) throws -> RoundRecord? {
        try pool.read { db in try Self.activeNumber(db, package).flatMap { try Self.record(db, $0) } }
    }

    /// A model's rounds, newest first.
    public func rounds(package: Hash, limit: Int) throws -> [RoundRecord] {
        try pool.read { db in
            try Int.fetchAll(
                db, sql: "SELECT number FROM round WHERE package = ? ORDER BY number DESC LIMIT ?",
                arguments: [package.hex, limit]
            ).compactMap { try Self.record(db, $0) }
        }
    }

    /// How many rounds of a model led to a version, when its last one ended, and when its last one opened.
    public func roundHistory(package: Hash) throws -> (
        closed: Int, lastEndMilliseconds: Int64?, lastOpeningMilliseconds: Int64?
    ) {
        try pool.read { db in
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*) FILTER (WHERE state = 'closed') AS closed, max(ended_at_ms) AS ended,
                        max(opened_at_ms) AS opened
                    FROM round WHERE package = ?
                    """, arguments: [package.hex])
            let forgotten = try Self.forgottenRounds(db, package)[.closed] ?? 0
            return ((row?["closed"] ?? 0) + forgotten, row?["ended"], row?["opened"])
        }
    }

    /// How many rounds a model has in each state.
    public func roundCounts(package: Hash) throws -> [Round.State: Int] {
        try pool.read { db in
            try Row.fetchAll(
                db, sql: "SELECT state, count(*) AS count FROM round WHERE package = ? GROUP BY state",
                arguments: [package.hex]
            ).reduce(into: try Self.forgottenRounds(db, package)) { counts, row in
                if let state = Round.State(rawValue: row["state"]) { counts[state, default: 0] += row["count"] }
            }
        }
    }

    /// Gives an open round a later deadline.
    public func extendRound(_ number: Int, deadlineMilliseconds: Int64, atMilliseconds now: Int64) throws {
        try pool.write { db in
            try db.execute(
                sql: """
                    UPDATE round SET deadline_ms = ?, extensions_used = extensions_used + 1
                    WHERE number = ? AND state = 'open'
                    """, arguments: [deadlineMilliseconds, number])
            if db.changesCount == 0 { return }
            try AuditLog.append(
                db, event: "round-extended",
                detail: ["round": String(number), "deadline_ms": String(deadlineMilliseconds)], atMilliseconds: now)
        }
    }

    /// Takes no more deltas for the round; its aggregation begins.
    ///
    /// - Returns: the round with the contributions that are final now; nil when it was not open.
    public func beginAggregation(_ number: Int) throws -> Round? {
        try pool.write { db in
            try db.execute(
                sql: "UPDATE round SET state = 'aggregating' WHERE number = ? AND state = 'open'", arguments: [number])
            return db.changesCount == 0 ? nil : try Self.round(db, number)
        }
    }

    /// Publishes what a round made.
    ///
    /// - Precondition: the parameters are in `blobs`.
    /// - Parameter weights: what each site counted, for the audit log.
    public func closeRound(
        _ number: Int, parameters: Hash, parametersBytes: Int, weights: [String: Double] = [:],
        atMilliseconds now: Int64
    ) throws -> Version? {
        try pool.write { db in
            guard let round = try Self.round(db, number), round.state == .aggregating else { return nil }
            let package = round.base.package
            let version = ModelVersion(package: package, parameters: parameters)
            let last =
                try Int.fetchOne(
                    db, sql: "SELECT max(number) FROM version WHERE package = ?", arguments: [package.hex]) ?? 0
            try db.execute(
                sql: "UPDATE round SET state = 'closed', ended_at_ms = ? WHERE number = ?", arguments: [now, number])
            // A round whose deltas cancel out gives a version that exists already: it is current again, not new.
            try db.execute(
                sql: """
                    INSERT INTO version
                        (id, package, number, parameters, parameters_bytes, parent, round, created_at_ms)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
                    """,
                arguments: [
                    version.id.hex, package.hex, last + 1, parameters.hex, parametersBytes, round.base.id.hex, number,
                    now,
                ])
            try db.execute(
                sql: "UPDATE model SET current_version = ? WHERE package = ?", arguments: [version.id.hex, package.hex])
            // Their labels are not new any more.
            try db.execute(
                sql: """
                    INSERT INTO counted_labels (site, package, labels)
                    SELECT cohort.site, ?, cohort.total_labels FROM cohort JOIN contribution USING (round, site)
                    WHERE round = ?
                    ON CONFLICT (site, package) DO UPDATE SET labels = max(labels, excluded.labels)
                    """, arguments: [package.hex, number])
            try AuditLog.append(
                db, event: "round-closed",
                detail: [
                    "round": String(number), "version": version.id.hex, "parameters": parameters.hex,
                    "contributions": round.contributions.keys.sorted().joined(separator: " "),
                    "weights": weights.sorted { $0.key < $1.key }
                        .map { "\($0.key)=\(($0.value * 10_000).rounded() / 10_000)" }.joined(separator: " "),
                ], atMilliseconds: now)
            return try Row.fetchOne(db, sql: "SELECT * FROM version WHERE id = ?", arguments: [version.id.hex])
                .map(Self.version)
        }
    }

    /// Ends a round without a new version.
    public func voidRound(_ number: Int, reason: String, atMilliseconds now: Int64) throws {
        try pool.write { db in try Self.void(db, number, reason: reason, now) }
    }

    static func void(_ db: Database, _ number: Int, reason: String, _ now: Int64) throws {
        try db.execute(
            sql: """
                UPDATE round SET state = 'void', ended_at_ms = ?, reason = ?
                WHERE number = ? AND state IN ('open', 'aggregating')
                """, arguments: [now, reason, number])
        if db.changesCount == 0 { return }
        try AuditLog.append(
            db, event: "round-void", detail: ["round": String(number), "reason": reason], atMilliseconds: now)
    }

    // MARK: Rows

    static func round(_ db: Database, _ number: Int) throws -> Round? {
        guard
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT round.*, version.parameters FROM round JOIN version ON version.id = round.base
                    WHERE round.number = ?
                    """, arguments: [number])
        else { return nil }
        guard let state = Round.State(rawValue: row["state"]) else {
            throw DatabaseError(message: "unknown round state \(row["state"] as String)")
        }
        let contributions = try Row.fetchAll(
            db, sql: "SELECT * FROM contribution WHERE round = ?", arguments: [number]
        ).map { Contribution(site: $0["site"], hash: try $0.hash("hash"), examples: $0["examples"]) }
        return Round(
            number: number,
            base: ModelVersion(package: try row.hash("package"), parameters: try row.hash("parameters")),
            cohort: try Set(
                String.fetchAll(db, sql: "SELECT site FROM cohort WHERE round = ?", arguments: [number])),
            quorum: row["quorum"], openedAtMilliseconds: row["opened_at_ms"], deadlineMilliseconds: row["deadline_ms"],
            extensionsUsed: row["extensions_used"],
            contributions: Dictionary(contributions.map { ($0.site, $0) }) { $1 },
            outOfLine: try Set(
                String.fetchAll(
                    db, sql: "SELECT site FROM cohort WHERE round = ? AND out_of_line IS NOT NULL", arguments: [number])
            ),
            state: state)
    }

    static func activeNumber(_ db: Database, _ package: Hash) throws -> Int? {
        try Int.fetchOne(
            db, sql: "SELECT number FROM round WHERE package = ? AND state IN ('open', 'aggregating')",
            arguments: [package.hex])
    }

    private static func record(_ db: Database, _ number: Int) throws -> RoundRecord? {
        guard let round = try round(db, number),
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT round.config, round.ended_at_ms, round.reason, version.id AS made FROM round
                    LEFT JOIN version ON version.round = round.number WHERE round.number = ?
                    """, arguments: [number])
        else { return nil }
        return RoundRecord(
            round: round,
            config: try JSONDecoder().decode(RoundConfig.self, from: Data((row["config"] as String).utf8)),
            endedAtMilliseconds: row["ended_at_ms"], reason: row["reason"],
            version: (row["made"] as String?).flatMap(Hash.init(hex:)))
    }
}
