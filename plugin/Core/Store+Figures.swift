// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// What is counted in the database.
extension Store {
    struct Figures: Sendable, Equatable {
        var waiting = 0
        var waitingBytes = 0
        var oldestReceivedAtMilliseconds: Int64?
        /// Instances by outcome.
        var outcomes: [String: Int] = [:]
        /// Instances by outcome and reason.
        var reasons: [ReasonTally] = []
        /// Flags by urgency.
        var flags: [String: Int] = [:]
        /// Instances by routing rule.
        var rules: [String: Int] = [:]
        /// Results by state.
        var results: [String: Int] = [:]
        var sends: [SendTally] = []
    }

    struct ReasonTally: Sendable, Equatable {
        var outcome: String
        var reason: String
        var instances: Int
    }

    /// All figures; some milliseconds for a backlog of 100,000 instances.
    ///
    /// - Parameter database: a connection within `read` or `write`.
    static func figures(in database: Connection) throws(SQLiteError) -> Figures {
        var figures = Figures()
        let outbox = try database.first("SELECT count(*), ifnull(sum(size_bytes), 0) FROM outbox") {
            (waiting: Int($0.integer(0)), bytes: Int($0.integer(1)))
        }
        figures.waiting = outbox?.waiting ?? 0
        figures.waitingBytes = outbox?.bytes ?? 0
        figures.oldestReceivedAtMilliseconds =
            try database.first("SELECT received_at_ms FROM outbox ORDER BY sequence LIMIT 1") { $0.integer(0) }
        figures.outcomes = try counts("SELECT outcome, instances FROM tally", in: database)
        figures.flags = try counts("SELECT urgency, count(*) FROM flag GROUP BY urgency", in: database)
        figures.results = try counts("SELECT state, count(*) FROM result GROUP BY state", in: database)
        figures.sends = try sendTallies(in: database)
        figures.rules = try counts("SELECT rule, instances FROM rule_tally", in: database)
        figures.reasons = try database.rows(
            "SELECT outcome, reason, instances FROM reason_tally ORDER BY outcome, reason"
        ) { ReasonTally(outcome: $0.text(0) ?? "", reason: $0.text(1) ?? "", instances: Int($0.integer(2))) }
        return figures
    }

    private static func counts(_ sql: String, in database: Connection) throws(SQLiteError) -> [String: Int] {
        let rows = try database.rows(sql) { (key: $0.text(0) ?? "", count: Int($0.integer(1))) }
        return Dictionary(rows.map { ($0.key, $0.count) }, uniquingKeysWith: &+)
    }

    /// A reason is a name, a colon and details; names are few, details are not.
    static func countReason(of settlement: Settlement, in database: Connection) throws(SQLiteError) {
        guard !settlement.reason.isEmpty, settlement.outcome != Settlement.routedAway else { return }
        let name = settlement.reason.prefix { $0 != ":" }
        let isName =
            name.utf8.count <= 40 && name.utf8.count < settlement.reason.utf8.count
            && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
        try database.run(
            """
            INSERT INTO reason_tally (outcome, reason, instances) VALUES (?, ?, 1)
            ON CONFLICT (outcome, reason) DO UPDATE SET instances = instances + 1
            """, .text(settlement.outcome), .text(isName ? String(name) : "other"))
    }

    static func countRule(of settlement: Settlement, in database: Connection) throws(SQLiteError) {
        guard let rule = settlement.rule else { return }
        try database.run(
            """
            INSERT INTO rule_tally (rule, instances) VALUES (?, 1)
            ON CONFLICT (rule) DO UPDATE SET instances = instances + 1
            """, .text(rule))
    }
}
