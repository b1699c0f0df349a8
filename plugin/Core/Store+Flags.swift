// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

extension Store {
    private static let newsMilliseconds: Int64 = 86_400_000

    /// A flag message as the worker sent it.
    struct FlagMessage: Sendable {
        var flag: String
        var revision: Int64
        var studyInstanceUID: String
        var json: String
        var worker: String
        var workerState: String
    }

    /// Whether a flag was committed.
    enum FlagAnswer: Sendable {
        /// `held`: the revision that is shown now. `report`: the last report about the flag, empty for none.
        case kept(held: Int64, report: String)
        /// The study belongs to another worker now, which flags it.
        case foreign
        /// The payload is not a flag.
        case unreadable
    }

    /// Commits flags, surviving a power cut: only then they are acknowledged.
    ///
    /// - Returns: what became of each flag, and the receipt for all of them.
    func save(flags: [FlagMessage]) throws(SQLiteError) -> (answers: [FlagAnswer], receipt: Receipt) {
        defer { noteWorklistChange() }
        return try write(durable: true) { database throws(SQLiteError) in
            let receipt = try Store.nextReceipt(in: database)
            var answers: [FlagAnswer] = []
            for flag in flags { answers.append(try Store.save(flag, in: database)) }
            return (answers, receipt)
        }
    }

    private static func save(_ message: FlagMessage, in database: Connection) throws(SQLiteError) -> FlagAnswer {
        let read = try database.first(
            """
            WITH message AS MATERIALIZED (SELECT \(Store.flagJSON("?1")) AS j)
            SELECT json_extract(j, '$.gateway_instance'), json_extract(j, '$.urgency'), json_extract(j, '$.state'),
                json_extract(j, '$.model.version'), json_extract(j, '$.arrived_at_ms'),
                (SELECT max(min(max(CAST(json_extract(checked_json(value), '$.probability') AS REAL), 0.0), 1.0)
                    + CASE WHEN json_extract(checked_json(value), '$.positive') THEN 2 ELSE 0 END)
                    FROM json_each(j, '$.findings')),
                json_extract(j, '$.instances.received'), json_extract(j, '$.model_versions'),
                json_extract(j, '$.decided_at_ms'), json_extract(j, '$.patient.id')
            FROM message WHERE json_extract(j, '$.urgency') IN ('none', 'routine', 'urgent', 'critical')
                AND json_extract(j, '$.state') IN ('preliminary', 'final')
            """, .text(message.json)
        ) { row in
            let strength = row.real(5)
            return (
                instance: row.text(0) ?? "", urgency: row.text(1) ?? "none", state: row.text(2) ?? "",
                version: row.text(3) ?? "", arrivedAt: row.integer(4),
                // Positive findings count before negative ones; what is kept is the probability itself.
                probability: strength >= 2 ? strength - 2 : strength,
                instances: row.integer(6), versions: max(row.integer(7), 1), decidedAt: row.integer(8),
                patient: row.text(9) ?? ""
            )
        }
        guard let read, !message.studyInstanceUID.isEmpty else { return .unreadable }
        let now = Clock.nowMilliseconds()
        // A flag that comes again after a loss is not news on the worklist.
        let isHistory = read.decidedAt > 0 && read.decidedAt < now &- Store.newsMilliseconds
        let study = try study(
            uid: message.studyInstanceUID, instance: read.instance,
            arrivedAt: read.arrivedAt > 0 ? read.arrivedAt : now,
            in: database)
        let owner = try database.first("SELECT worker, worker_state FROM study WHERE id = ?", .integer(study)) { row in
            (worker: row.text(0) ?? "", state: row.text(1) ?? "")
        }
        if let owner, !owner.state.isEmpty, owner.state != message.workerState, owner.worker != message.worker {
            return .foreign
        }
        try database.run(
            """
            INSERT INTO flag (flag, study, revision, shown_revision, instance, state, urgency, urgency_rank, probability,
                model_version, first_flagged_at_ms, flagged_at_ms, json, instances, model_versions, patient)
            VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6,
                CASE ?6 WHEN 'critical' THEN 3 WHEN 'urgent' THEN 2 WHEN 'routine' THEN 1 ELSE 0 END, ?7, ?8, ?9, ?9, ?10,
                ?11, ?12, ?13)
            ON CONFLICT (flag) DO UPDATE SET revision = excluded.revision,
                -- The same revision with other words: the worker lost the first ones.
                shown_revision = min(shown_revision, excluded.revision - 1), instance = excluded.instance,
                state = excluded.state, urgency = excluded.urgency, urgency_rank = excluded.urgency_rank,
                probability = excluded.probability, model_version = excluded.model_version,
                flagged_at_ms = excluded.flagged_at_ms, json = excluded.json, instances = excluded.instances,
                model_versions = excluded.model_versions, patient = excluded.patient
            WHERE excluded.revision > flag.revision
                OR (excluded.revision = flag.revision AND excluded.json <> flag.json)
            """, .text(message.flag), .integer(study), .integer(message.revision), .text(read.instance),
            .text(read.state), .text(read.urgency), .real(read.probability), .text(read.version),
            .integer(isHistory ? read.decidedAt : now), .text(message.json), .integer(read.instances),
            .integer(read.versions), .text(read.patient))
        let held = try database.first("SELECT revision FROM flag WHERE flag = ?", .text(message.flag)) { $0.integer(0) }
        return .kept(
            held: held ?? message.revision, report: try lastReport(about: message.flag, in: database))
    }

    /// The first flag that the host was not told about, whose study in the host is known.
    ///
    /// - Parameter refused: the host refused the flags up to this one; empty: none.
    func flagToShow(after refused: String) throws(SQLiteError) -> StoredFlag? {
        try write { database throws(SQLiteError) in
            try database.first(
                """
                SELECT f.flag, f.revision, s.study_instance_uid, f.instance, s.gateway_study, f.urgency,
                    ifnull(\(Store.flagJSON("f.json")), '{}'), f.state
                FROM flag f JOIN study s ON s.id = f.study
                WHERE f.shown_revision < f.revision AND s.gateway_study IS NOT NULL AND f.flag > ?
                ORDER BY f.flag LIMIT 1
                """, .text(refused)
            ) { row in
                StoredFlag(
                    flag: row.text(0) ?? "", revision: row.integer(1), study: row.text(2) ?? "",
                    instance: row.text(3) ?? "", gatewayStudy: row.text(4) ?? "", urgency: row.text(5) ?? "none",
                    json: row.text(6) ?? "{}", state: row.text(7) ?? "")
            }
        }
    }

    func markShown(_ flag: StoredFlag) throws(SQLiteError) {
        try write { database throws(SQLiteError) in
            try database.run(
                "UPDATE flag SET shown_revision = ? WHERE flag = ?", .integer(flag.revision), .text(flag.flag))
        }
    }

    /// Studies whose id in the host is not known yet, newest first, with one of their instances.
    ///
    /// - Parameter id: of the last study that the host refused; nil: of none.
    func studiesToResolve(
        before id: Int64?, limit: Int
    ) throws(SQLiteError) -> [(id: Int64, instance: String)] {
        try write { database throws(SQLiteError) in
            try database.rows(
                "SELECT id, instance FROM study WHERE gateway_study IS NULL AND id < ? ORDER BY id DESC LIMIT ?",
                [.integer(id ?? .max), Value(limit)]
            ) { (id: $0.integer(0), instance: $0.text(1) ?? "") }
        }
    }

    func setGatewayStudy(_ gatewayStudy: String, of id: Int64) throws(SQLiteError) {
        defer { noteWorklistChange() }
        try write { database throws(SQLiteError) in
            try database.run("UPDATE study SET gateway_study = ? WHERE id = ?", .text(gatewayStudy), .integer(id))
        }
    }
}
