// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

/// Whose a study is, and what goes back to the outbox when its owner lost it.
///
/// A study belongs to one worker and one database of that worker (its state), so that one worker sees all of it. The
/// owner is who acknowledged last. Whatever is given back leaves `outcome` and waits in the outbox again, as it came
/// first; workers recognise what they have, so giving back too much costs time and giving back too little loses a flag.
extension Store {
    /// A worker has said hello: what its receipts do not hold any more goes back, and so do the unfinished studies of
    /// the databases it had before. Reviews likewise.
    ///
    /// - Returns: how many instances went back.
    func meet(worker name: String, receipts: ReceiptBook) throws(SQLiteError) -> Int {
        try write { database throws(SQLiteError) in
            let state = receipts.state
            var givenBack = try Store.giveBack(
                "worker_state = ?1 AND serial > ?2", .text(state), .integer(receipts.serial), in: database)
            try database.run(
                "UPDATE review SET state = 'pending' WHERE worker_state = ? AND serial > ? AND state <> 'pending'",
                .text(state), .integer(receipts.serial))
            for void in receipts.voids {
                givenBack &+= try Store.giveBack(
                    "worker_state = ?1 AND serial BETWEEN ?2 AND ?3", .text(state), .integer(void.lowerBound),
                    .integer(void.upperBound), in: database)
                try database.run(
                    """
                    UPDATE review SET state = 'pending'
                    WHERE worker_state = ? AND serial BETWEEN ? AND ? AND state <> 'pending'
                    """, .text(state), .integer(void.lowerBound), .integer(void.upperBound))
            }
            let earlier = try database.rows(
                "SELECT state FROM worker WHERE name = ? AND state <> ?", [.text(name), .text(state)]
            ) { $0.text(0) ?? "" }
            for lost in earlier {
                givenBack &+= try Store.giveBackUnfinished(workerState: lost, in: database)
                // Its labels are lost too.
                try database.run(
                    "UPDATE review SET state = 'pending' WHERE worker_state = ? AND state = 'accepted'", .text(lost))
                try database.run("DELETE FROM worker WHERE state = ?", .text(lost))
            }
            try database.run("INSERT OR REPLACE INTO worker (state, name) VALUES (?, ?)", .text(state), .text(name))
            return givenBack
        }
    }

    /// Gives back the studies of a worker that will not finish them: those without a final flag over all their
    /// instances by each version that read them, and those whose flag announces a report that has not come since, or not
    /// its key image.
    ///
    /// - Returns: how many instances went back.
    func giveBackUnfinished(workerState: String) throws(SQLiteError) -> Int {
        try write { database throws(SQLiteError) in
            try Store.giveBackUnfinished(workerState: workerState, in: database)
        }
    }

    private static func giveBackUnfinished(
        workerState: String, in database: Connection
    ) throws(SQLiteError) -> Int {
        // A study of which nothing was scored never gets a flag; whoever sees it again would say the same. A flag does not
        // count documents and own results.
        try giveBack(
            """
            worker_state = ?1 AND study IN (
                SELECT id FROM study s WHERE s.worker_state = ?1
                AND EXISTS (SELECT 1 FROM outcome o WHERE o.study = s.id AND o.outcome = 'scored')
                AND ((SELECT count(*) FROM flag f WHERE f.study = s.id AND f.state = 'final' AND f.instances >=
                        (SELECT count(*) FROM outcome o WHERE o.study = s.id AND o.worker_state <> ''
                            AND o.outcome NOT IN ('own-result', 'labelled', 'unlabelled')))
                    < max(1, (SELECT ifnull(max(f.model_versions), 1) FROM flag f WHERE f.study = s.id))
                    OR EXISTS (SELECT 1 FROM flag f WHERE f.study = s.id AND f.state = 'final'
                        AND json_extract(checked_json(f.json), '$.has_report') = 1
                        AND (SELECT count(DISTINCT r.kind) FROM result r WHERE r.flag = f.flag
                            AND r.kind IN ('report', 'key-image') AND r.at_ms >= f.flagged_at_ms) < 2)))
            """, .text(workerState), in: database)
    }

    /// Gives back what workers other than that of `state` have acknowledged of a study.
    ///
    /// - Returns: whether instances of the study wait in the outbox now.
    static func giveBack(study: Int64, notKnownTo state: String, in database: Connection) throws(SQLiteError) -> Bool {
        _ = try giveBack("study = ?1 AND worker_state NOT IN ('', ?2)", .integer(study), .text(state), in: database)
        let waits = try database.first("SELECT 1 FROM outbox WHERE study = ? LIMIT 1", .integer(study)) { _ in true }
        return waits ?? false
    }

    /// The study is this worker's from now on. Taken from another one, all of it is handed over to the new owner.
    ///
    /// - Returns: how many instances went back.
    static func own(
        _ study: Int64, by worker: String, state: String, in database: Connection
    ) throws(SQLiteError) -> Int {
        let owner = try database.first("SELECT worker_state FROM study WHERE id = ?", .integer(study)) {
            $0.text(0) ?? ""
        }
        guard owner != state else { return 0 }
        try database.run(
            "UPDATE study SET worker = ?, worker_state = ? WHERE id = ?", .text(worker), .text(state), .integer(study))
        try database.run("INSERT OR IGNORE INTO worker (state, name) VALUES (?, ?)", .text(state), .text(worker))
        guard let owner, !owner.isEmpty else { return 0 }
        return try giveBack(
            "study = ?1 AND worker_state NOT IN ('', ?2)", .integer(study), .text(state), in: database)
    }

    /// The state of the worker whose the study is; empty for none.
    func owner(of studyInstanceUID: String) throws(SQLiteError) -> String {
        try write { database throws(SQLiteError) in
            try database.first("SELECT worker_state FROM study WHERE study_instance_uid = ?", .text(studyInstanceUID)) {
                $0.text(0) ?? ""
            } ?? ""
        }
    }

    /// The states of all workers that have acknowledged something.
    func owners() throws(SQLiteError) -> [String] {
        try write { database throws(SQLiteError) in
            try database.rows("SELECT state FROM worker", []) { $0.text(0) ?? "" }
        }
    }

    /// Notes the study of instances that wait for its owner, so that they are not read again before it is back.
    func park(_ instances: [(sequence: Int64, study: String)]) throws(SQLiteError) {
        try write { database throws(SQLiteError) in
            for instance in instances {
                try database.run(
                    "UPDATE outbox SET study = (SELECT id FROM study WHERE study_instance_uid = ?) WHERE sequence = ?",
                    .text(instance.study), .integer(instance.sequence))
            }
        }
    }

    /// Moves the outcomes that `condition` selects back to the outbox.
    private static func giveBack(
        _ condition: String, _ values: Value..., in database: Connection
    ) throws(SQLiteError) -> Int {
        _ = try database.rows(
            """
            INSERT OR IGNORE INTO outbox (instance, size_bytes, received_at_ms, calling_ae_title, study)
            SELECT instance, size_bytes, received_at_ms, calling_ae_title, study FROM outcome WHERE \(condition)
            ORDER BY received_at_ms, instance
            """, values
        ) { _ in }
        return try database.rows("DELETE FROM outcome WHERE \(condition) RETURNING 1", values) { _ in }.count
    }
}
