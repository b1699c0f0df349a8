// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

extension Store {
    /// Commits what arrived and what was settled, in one transaction.
    ///
    /// - Returns: the sequence number of each arrival.
    func save(arrivals: [Arrival], settlements: [Settlement]) throws(SQLiteError) -> [Int64] {
        try write { database throws(SQLiteError) in
            var sequences: [Int64] = []
            for arrival in arrivals {
                // The same id again may be a replaced instance: it gets a new number and is handed over again.
                try database.run(
                    """
                    INSERT OR REPLACE INTO outbox (instance, size_bytes, received_at_ms, calling_ae_title)
                    VALUES (?, ?, ?, ?)
                    """, .text(arrival.instance.text), Value(arrival.sizeBytes),
                    .integer(arrival.receivedAtMilliseconds), .text(arrival.callingAETitle))
                sequences.append(database.lastInsertedRow)
            }
            if !settlements.isEmpty {
                let logRead = try Store.fact(.logReadThrough, in: database).flatMap { Int64($0) } ?? 0
                for settlement in settlements {
                    try Store.settle(settlement, logReadThrough: logRead, in: database)
                }
            }
            return sequences
        }
    }

    private static func settle(
        _ settlement: Settlement, logReadThrough: Int64, in database: Connection
    ) throws(SQLiteError) {
        let row = try database.first(
            "DELETE FROM outbox WHERE sequence = ? RETURNING instance, received_at_ms", .integer(settlement.sequence)
        ) { (instance: $0.text(0) ?? "", receivedAt: $0.integer(1)) }
        // A second acknowledgement, or one for an instance that was replaced meanwhile.
        guard let row else { return }
        if settlement.sequence > logReadThrough {
            try database.run(
                "INSERT OR REPLACE INTO seen (instance, sequence) VALUES (?, ?)", .text(row.instance),
                .integer(settlement.sequence))
        }
        let study = try Store.study(
            uid: settlement.studyInstanceUID, instance: row.instance, arrivedAt: row.receivedAt, in: database)
        try database.run(
            "INSERT OR REPLACE INTO outcome (instance, study, outcome, reason, at_ms) VALUES (?, ?, ?, ?, ?)",
            .text(row.instance), .integer(study), .text(settlement.outcome), .text(settlement.reason),
            .integer(Clock.nowMilliseconds()))
        try database.run(
            """
            INSERT INTO tally (outcome, instances) VALUES (?, 1)
            ON CONFLICT (outcome) DO UPDATE SET instances = instances + 1
            """, .text(settlement.outcome))
        try Store.countReason(of: settlement, in: database)
        try Store.countRule(of: settlement, in: database)
    }

    /// The row of a study, made when it is new. An empty uid stands for the study that `instance` alone belongs to.
    static func study(
        uid: String, instance: String, arrivedAt: Int64, in database: Connection
    ) throws(SQLiteError) -> Int64 {
        let known =
            uid.isEmpty
            ? try database.first(
                "SELECT id FROM study WHERE study_instance_uid IS NULL AND id IN (SELECT study FROM outcome WHERE instance = ?)",
                .text(instance)
            ) { $0.integer(0) }
            : try database.first("SELECT id FROM study WHERE study_instance_uid = ?", .text(uid)) { $0.integer(0) }
        if let known { return known }
        try database.run(
            "INSERT INTO study (study_instance_uid, instance, arrived_at_ms) VALUES (?, ?, ?)",
            Value(uid.isEmpty ? nil : uid), .text(instance), .integer(arrivedAt))
        return database.lastInsertedRow
    }

    /// Rows after `sequence`, oldest first.
    func outbox(after sequence: Int64, limit: Int) throws(SQLiteError) -> [OutboxRow] {
        try write { database throws(SQLiteError) in
            try database.rows(
                """
                SELECT sequence, instance, size_bytes, received_at_ms, calling_ae_title FROM outbox
                WHERE sequence > ? ORDER BY sequence LIMIT ?
                """, [.integer(sequence), Value(limit)]
            ) { row in
                GatewayInstanceID(row.text(1) ?? "").map { instance in
                    OutboxRow(
                        sequence: row.integer(0), instance: instance, sizeBytes: Int(max(row.integer(2), 0)),
                        receivedAtMilliseconds: row.integer(3), callingAETitle: row.text(4) ?? "")
                }
            }.compactMap { $0 }
        }
    }
}
