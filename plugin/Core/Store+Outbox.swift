// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

extension Store {
    /// Commits what arrived and what was settled, in one transaction.
    ///
    /// - Returns: the sequence number of each arrival, and how many other instances went back to the outbox because
    ///   their study has a new owner.
    func save(
        arrivals: [Arrival], settlements: [Settlement]
    ) throws(SQLiteError) -> (sequences: [Int64], givenBack: Int) {
        try write { database throws(SQLiteError) in
            var sequences: [Int64] = []
            var givenBack = 0
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
                    givenBack &+= try Store.settle(settlement, logReadThrough: logRead, in: database)
                }
            }
            return (sequences, givenBack)
        }
    }

    /// - Returns: how many other instances of the study went back to the outbox.
    private static func settle(
        _ settlement: Settlement, logReadThrough: Int64, in database: Connection
    ) throws(SQLiteError) -> Int {
        let row = try database.first(
            """
            DELETE FROM outbox WHERE sequence = ? AND instance = ?
            RETURNING instance, size_bytes, received_at_ms, calling_ae_title
            """, .integer(settlement.sequence), .text(settlement.instance.text)
        ) {
            (instance: $0.text(0) ?? "", size: $0.integer(1), receivedAt: $0.integer(2), title: $0.text(3) ?? "")
        }
        // A second acknowledgement, or one for an instance that was replaced meanwhile.
        guard let row else { return 0 }
        if settlement.sequence > logReadThrough {
            try database.run(
                "INSERT OR REPLACE INTO seen (instance, sequence) VALUES (?, ?)", .text(row.instance),
                .integer(settlement.sequence))
        }
        let study = try Store.study(
            uid: settlement.studyInstanceUID, instance: row.instance, arrivedAt: row.receivedAt, in: database)
        try database.run(
            """
            INSERT OR REPLACE INTO outcome (instance, study, outcome, reason, at_ms, worker_state, serial, size_bytes,
                received_at_ms, calling_ae_title)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, .text(row.instance), .integer(study), .text(settlement.outcome), .text(settlement.reason),
            .integer(Clock.nowMilliseconds()), .text(settlement.worker?.receipt.state ?? ""),
            .integer(settlement.worker?.receipt.serial ?? 0), .integer(row.size), .integer(row.receivedAt),
            .text(row.title))
        try database.run(
            """
            INSERT INTO tally (outcome, instances) VALUES (?, 1)
            ON CONFLICT (outcome) DO UPDATE SET instances = instances + 1
            """, .text(settlement.outcome))
        try Store.countReason(of: settlement, in: database)
        try Store.countRule(of: settlement, in: database)
        guard let worker = settlement.worker, !settlement.studyInstanceUID.isEmpty else { return 0 }
        return try Store.own(study, by: worker.name, state: worker.receipt.state, in: database)
    }

    /// The row of a study, made when it is new. An empty uid stands for the study that `instance` alone belongs to.
    static func study(
        uid: String, instance: String, arrivedAt: Int64, in database: Connection
    ) throws(SQLiteError) -> Int64 {
        let known =
            uid.isEmpty
            ? try database.first(
                "SELECT id FROM study WHERE study_instance_uid IS NULL AND instance = ?", .text(instance)
            ) { $0.integer(0) }
            : try database.first("SELECT id FROM study WHERE study_instance_uid = ?", .text(uid)) { $0.integer(0) }
        if let known { return known }
        try database.run(
            "INSERT INTO study (study_instance_uid, instance, arrived_at_ms) VALUES (?, ?, ?)",
            Value(uid.isEmpty ? nil : uid), .text(instance), .integer(arrivedAt))
        return database.lastInsertedRow
    }

    /// Rows after `sequence`, oldest first.
    ///
    /// - Parameter absent: workers whose studies wait for them.
    func outbox(
        after sequence: Int64, limit: Int, withoutStudiesOf absent: Set<String>
    ) throws(SQLiteError) -> [OutboxRow] {
        try write { database throws(SQLiteError) in
            try database.rows(
                """
                SELECT sequence, instance, size_bytes, received_at_ms, calling_ae_title FROM outbox
                WHERE sequence > ?1 AND NOT EXISTS (SELECT 1 FROM study s
                    WHERE s.id = outbox.study AND instr(?3, ' ' || s.worker_state || ' ') > 0)
                ORDER BY sequence LIMIT ?2
                """, [.integer(sequence), Value(limit), .text(" \(absent.joined(separator: " ")) ")]
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
