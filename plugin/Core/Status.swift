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
                'database', json(?5), 'workers', json(?6), 'in_flight', json(?7), 'hook', json(?8), 'archive', json(?9),
                'models', json(CASE WHEN json_valid(?10) THEN ?10 ELSE 'null' END), 'rules', json(?12),
                'refusal', json(?13)), ?11)
            """, .text(Release.version), .text(shared.settings.name), .text(shared.session),
            .integer(Clock.nowMilliseconds()), .text(try database(health, composer)),
            .text(try workers(live.workers, composer)), .text(try inFlight(live, composer)),
            .text(try hook(composer)), .text(try archive(live, composer)), .text(live.models), .text(figures),
            .text(try rules(composer)), .text(try refusal(composer))
        ) { $0.text(0) ?? "{}" }
        return text ?? "{}"
    }

    private func database(_ health: Store.Health, _ composer: Connection) throws(SQLiteError) -> String {
        try object(
            "SELECT json_object('path', ?, 'state', ?, 'reason', ?, 'set_aside', ?)", composer,
            .text(shared.store.path), .text(health.failure == nil ? "ok" : "unusable"), Value(health.failure),
            Value(health.setAside))
    }

    private func workers(_ workers: [LiveState.Worker], _ composer: Connection) throws(SQLiteError) -> String {
        var texts: [String] = []
        for worker in workers {
            texts.append(
                try object(
                    """
                    SELECT json_object('endpoint', ?, 'name', ?, 'version', ?, 'connected', json(?), 'active', json(?),
                        'credit_bytes', ?, 'heard_at_ms', ?)
                    """, composer, .text(worker.endpoint), .text(worker.name), .text(worker.version),
                    .text(worker.isConnected ? "true" : "false"), .text(worker.isActive ? "true" : "false"),
                    .integer(worker.creditBytes), .integer(worker.heardAtMilliseconds)))
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
        let durations = shared.handOver.durations.percentiles([0.5, 0.99, 1])
        let nanoseconds = durations.map { Value.integer($0) }
        guard nanoseconds.count == 3 else { return "{}" }
        return try object(
            """
            SELECT json_object('with_bytes', ?, 'with_id_only', ?, 'missed', ?, 'p50_us', ? / 1000.0, 'p99_us', ? / 1000.0,
                'max_us', ? / 1000.0)
            """, composer, Value(counts.withBytes), Value(counts.withIDOnly), Value(counts.missed), nanoseconds[0],
            nanoseconds[1], nanoseconds[2])
    }

    /// Counts by rule: each one's own words, and how many instances it decided about.
    private func rules(_ composer: Connection) throws(SQLiteError) -> String {
        let counts = (try? shared.store.count())?.rules ?? [:]
        var texts: [String] = []
        for name in shared.settings.rules.names {
            texts.append(
                try object(
                    """
                    SELECT json_object('rule', CASE WHEN json_valid(?1) THEN json(?1) ELSE ?1 END, 'instances', ?2)
                    """, composer, .text(name), Value(counts[name] ?? 0)))
        }
        return "[\(texts.joined(separator: ","))]"
    }

    private func refusal(_ composer: Connection) throws(SQLiteError) -> String {
        try object(
            "SELECT json_object('after_seconds', ?, 'refuses', json(?), 'instances', ?)", composer,
            .integer(shared.settings.refuseWithoutWorkerSeconds), .text(shared.refusal.refuses ? "true" : "false"),
            Value(shared.refusal.count))
    }

    private func archive(_ live: LiveState.Snapshot, _ composer: Connection) throws(SQLiteError) -> String {
        try object(
            """
            SELECT json_object('found_in_log', ?, 'instances_gone', ?, 'read_failures', ?, 'messages_not_understood', ?)
            """, composer, Value(live.foundInLog), Value(live.instancesGone), Value(live.readFailures),
            Value(live.messagesNotUnderstood))
    }

    private func object(_ sql: String, _ composer: Connection, _ values: Value...) throws(SQLiteError) -> String {
        let rows = try composer.rows(sql, values) { $0.text(0) ?? "{}" }
        return rows.first ?? "{}"
    }
}
