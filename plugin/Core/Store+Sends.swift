// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// Stored results that go to other nodes.
extension Store {
    struct SendTally: Sendable, Equatable {
        var target: String
        /// Not sent yet.
        var due = 0
        var sent = 0
        /// Given up: the host no longer had the object.
        var failed = 0
    }

    static func addSend(of object: String, to target: String, in database: Connection) throws(SQLiteError) {
        try database.run(
            """
            INSERT OR IGNORE INTO result_send (target, object, state, reason, attempts, at_ms)
            VALUES (?, ?, 'due', '', 0, ?)
            """, .text(target), .text(object), .integer(Clock.nowMilliseconds()))
    }

    /// Targets that the administrator took away get nothing more.
    func forgetSends(exceptTo targets: [String]) throws(SQLiteError) {
        try write { database throws(SQLiteError) in
            let known = try database.rows("SELECT DISTINCT target FROM result_send WHERE state = 'due'", []) {
                $0.text(0) ?? ""
            }
            for target in known where !targets.contains(target) {
                try database.run("DELETE FROM result_send WHERE state = 'due' AND target = ?", .text(target))
            }
        }
    }

    /// SOPInstanceUID of the object that a target gets next; nil when it has everything. What failed before comes last.
    func nextSend(to target: String) throws(SQLiteError) -> String? {
        try write { database throws(SQLiteError) in
            try database.first(
                "SELECT object FROM result_send WHERE state = 'due' AND target = ? ORDER BY attempts, at_ms LIMIT 1",
                .text(target)
            ) { $0.text(0) ?? "" }
        }
    }

    /// - Parameters:
    ///   - state: due, sent or failed.
    ///   - reason: of the host, when it is not sent.
    func markSend(of object: String, to target: String, state: String, reason: String) throws(SQLiteError) {
        try write { database throws(SQLiteError) in
            try database.run(
                """
                UPDATE result_send SET state = ?, reason = ?, attempts = attempts + 1 WHERE target = ? AND object = ?
                """, .text(state), .text(reason), .text(target), .text(object))
        }
    }

    static func sendTallies(in database: Connection) throws(SQLiteError) -> [SendTally] {
        let rows = try database.rows(
            "SELECT target, state, count(*) FROM result_send GROUP BY target, state ORDER BY target", []
        ) { (target: $0.text(0) ?? "", state: $0.text(1) ?? "", count: Int($0.integer(2))) }
        var tallies: [SendTally] = []
        for row in rows {
            var tally = tallies.last.flatMap { $0.target == row.target ? $0 : nil } ?? SendTally(target: row.target)
            if tallies.last?.target == row.target { tallies.removeLast() }
            switch row.state {
            case "due": tally.due = row.count
            case "sent": tally.sent = row.count
            default: tally.failed = row.count
            }
            tallies.append(tally)
        }
        return tallies
    }
}
