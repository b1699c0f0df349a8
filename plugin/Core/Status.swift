// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// The state of a gateway as JSON: what is in memory, and the database's figures when it can be read.
struct Status {
    private let shared: Shared

    init(_ shared: Shared) { self.shared = shared }

    func json() throws(SQLiteError) -> String {
        let composer = try Connection(path: ":memory:")
        let health = shared.store.health
        let live = shared.live.current
        let figures = (try? shared.store.figures()) ?? "{}"
        let text = try composer.first(
            """
            SELECT json_patch(json_object('version', ?1, 'gateway', ?2, 'session', ?3, 'at_ms', ?4,
                'database', checked_document(?5), 'workers', checked_document(?6), 'in_flight', checked_document(?7),
                'hook', checked_document(?8), 'archive', checked_document(?9), 'models', checked_json(?10),
                'rules', checked_document(?12), 'refusal', checked_document(?13),
                'result_targets', checked_document(?14)), checked_document(?11))
            """, .text(Release.version), .text(shared.settings.name), .text(shared.session),
            .integer(Clock.nowMilliseconds()), .text(try database(health, composer)),
            .text(try workers(live.workers, composer)), .text(try inFlight(live, composer)),
            .text(try hook(composer)), .text(try archive(live, composer)), .text(live.models), .text(figures),
            .text(try rules(composer)), .text(try refusal(composer)), .text(try resultTargets(live, composer))
        ) { $0.text(0) ?? "{}" }
        return text ?? "{}"
    }

    private func database(_ health: Store.Health, _ composer: Connection) throws(SQLiteError) -> String {
        try object(
            """
            SELECT json_object('path', ?1, 'state', ?2, 'reason', ?3, 'set_aside', ?4, 'last_set_aside',
                CASE WHEN ?5 IS NULL THEN NULL ELSE json_object('path', ?5, 'reason', ?6, 'at_ms', ?7) END,
                'unreadable_flags', ?8, 'unreadable_reviews', ?9)
            """, composer,
            .text(shared.store.path), .text(health.failure == nil ? "ok" : "unusable"), Value(health.failure),
            Value(health.setAside), Value(health.lastSetAside?.path), Value(health.lastSetAside?.reason),
            .integer(health.lastSetAside?.atMilliseconds ?? 0), Value(health.unreadable.flags),
            Value(health.unreadable.reviews))
    }

    private func workers(_ workers: [LiveState.Worker], _ composer: Connection) throws(SQLiteError) -> String {
        var texts: [String] = []
        for worker in workers {
            texts.append(
                try object(
                    """
                    SELECT json_object('endpoint', ?, 'name', ?, 'version', ?, 'connected', checked_document(?),
                        'credit_bytes', ?, 'in_flight_instances', ?, 'in_flight_bytes', ?, 'heard_at_ms', ?, 'refused', nullif(?, ''),
                        'refusals', ?)
                    """, composer, .text(worker.endpoint), .text(worker.name), .text(worker.version),
                    .text(worker.isConnected ? "true" : "false"), .integer(worker.creditBytes),
                    Value(worker.inFlightInstances), Value(worker.inFlightBytes), .integer(worker.heardAtMilliseconds),
                    .text(worker.refusal),
                    Value(worker.refusals)))
        }
        return "[\(texts.joined(separator: ","))]"
    }

    private func inFlight(_ live: LiveState.Snapshot, _ composer: Connection) throws(SQLiteError) -> String {
        try object(
            """
            SELECT json_object('instances', ?, 'bytes', ?, 'waiting_in_memory', ?, 'held_bytes', ?, 'window_bytes', ?)
            """, composer, Value(live.inFlightInstances), Value(live.inFlightBytes), Value(live.waitingInMemory),
            Value(shared.window.reservedBytes), Value(shared.settings.windowBytes))
    }

    private func hook(_ composer: Connection) throws(SQLiteError) -> String {
        let counts = shared.handOver.counts
        return try object(
            """
            SELECT json_object('with_bytes', ?, 'with_id_only', ?, 'missed', ?, 'us_with_bytes', checked_document(?),
                'us_with_id_only', checked_document(?))
            """, composer, Value(counts.withBytes), Value(counts.withIDOnly), Value(counts.missed),
            .text(try durations(shared.handOver.durationsWithBytes.snapshot, composer)),
            .text(try durations(shared.handOver.durationsWithIDOnly.snapshot, composer)))
    }

    private func durations(_ snapshot: Histogram.Snapshot, _ composer: Connection) throws(SQLiteError) -> String {
        try object(
            "SELECT json_object('p50', ?, 'p99', ?, 'max', ? / 1000.0, 'counts', checked_document(?))", composer,
            .integer(snapshot.percentileMicroseconds(0.5)), .integer(snapshot.percentileMicroseconds(0.99)),
            .integer(snapshot.longestNanoseconds), .text(counts(snapshot)))
    }

    /// How many durations there are in each bucket that is not empty, by its upper bound.
    private func counts(_ snapshot: Histogram.Snapshot) -> String {
        let bounds = Histogram.boundsMicroseconds + [snapshot.longestNanoseconds / 1_000]
        let members = zip(bounds, snapshot.counts).filter { $0.1 > 0 }.map { "\"\($0.0)\":\($0.1)" }
        return "{\(members.joined(separator: ","))}"
    }

    /// Counts by rule: each one's own words, and how many instances it decided about.
    private func rules(_ composer: Connection) throws(SQLiteError) -> String {
        guard !shared.settings.rules.isEmpty else { return "[]" }
        let figures = try? shared.store.read { database throws(SQLiteError) in try Store.figures(in: database) }
        let counts = figures?.rules ?? [:]
        var texts: [String] = []
        for name in shared.settings.rules.names {
            texts.append(
                try object(
                    """
                    SELECT json_object('rule', CASE WHEN checked_json(?1) IS NULL THEN ?1 ELSE checked_json(?1) END,
                        'instances', ?2)
                    """, composer, .text(name), Value(counts[name] ?? 0)))
        }
        return "[\(texts.joined(separator: ","))]"
    }

    /// What is on its way to other nodes.
    private func resultTargets(_ live: LiveState.Snapshot, _ composer: Connection) throws(SQLiteError) -> String {
        guard !shared.settings.resultTargets.isEmpty else { return "[]" }
        let tallies = try? shared.store.read { database throws(SQLiteError) in
            try Store.sendTallies(in: database)
        }
        var texts: [String] = []
        for target in shared.settings.resultTargets {
            let tally = tallies?.first { $0.target == target } ?? Store.SendTally(target: target)
            texts.append(
                try object(
                    """
                    SELECT json_object('target', ?, 'due', ?, 'sent', ?, 'failed', ?, 'failed_attempts', ?, 'reason', ?)
                    """, composer, .text(target), Value(tally.due), Value(tally.sent), Value(tally.failed),
                    Value(live.sendFailures[target] ?? 0), Value(live.sendReasons[target])))
        }
        return "[\(texts.joined(separator: ","))]"
    }

    private func refusal(_ composer: Connection) throws(SQLiteError) -> String {
        try object(
            "SELECT json_object('after_seconds', ?, 'refuses', checked_document(?), 'instances', ?)", composer,
            .integer(shared.settings.refuseWithoutWorkerSeconds), .text(shared.refusal.refuses ? "true" : "false"),
            Value(shared.refusal.count))
    }

    private func archive(_ live: LiveState.Snapshot, _ composer: Connection) throws(SQLiteError) -> String {
        try object(
            """
            SELECT json_object('found_in_log', ?, 'given_back', ?, 'instances_gone', ?, 'read_failures', ?,
                'foreign_flags', ?, 'messages_not_understood', ?)
            """, composer, Value(live.foundInLog), Value(live.givenBack), Value(live.instancesGone),
            Value(live.readFailures), Value(live.foreignFlags), Value(live.messagesNotUnderstood))
    }

    private func object(_ sql: String, _ composer: Connection, _ values: Value...) throws(SQLiteError) -> String {
        let rows = try composer.rows(sql, values) { $0.text(0) ?? "{}" }
        return rows.first ?? "{}"
    }
}
