// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

/// Reading the host's log: what a crash left out of the outbox is found here.
///
/// The host writes its log before it calls the hook. So when the log has been read to its end, it has told us about
/// every instance whose outbox number existed when the reading began: `logReadThrough`. An instance with a higher
/// number that is acknowledged goes to `seen`, where the log's entry finds it and does not bring it again.
extension Store {
    enum Fact: String {
        /// The host's own words for how far its log was read.
        case logPosition = "log_position"
        /// Outbox number up to which the log holds nothing new.
        case logReadThrough = "log_read_through"
        /// The last time the log was read to its end, in Unix milliseconds.
        case logReadAt = "log_read_at_ms"
    }

    static func fact(_ fact: Fact, in database: Connection) throws(SQLiteError) -> String? {
        try database.first("SELECT value FROM fact WHERE name = ?", .text(fact.rawValue)) { $0.text(0) ?? "" }
    }

    static func set(_ fact: Fact, _ value: String, in database: Connection) throws(SQLiteError) {
        try database.run("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", .text(fact.rawValue), .text(value))
    }

    /// Where to go on reading (nil: nowhere yet), and the highest outbox number so far.
    func beginLogReading() throws(SQLiteError) -> (position: String?, highestSequence: Int64) {
        try write { database throws(SQLiteError) in
            let highest = try database.first("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'") { $0.integer(0) }
            return (try Store.fact(.logPosition, in: database), highest ?? 0)
        }
    }

    /// Keeps where the log begins for this gateway.
    func setLogPosition(_ position: String) throws(SQLiteError) {
        try write(durable: true) { database throws(SQLiteError) in
            try Store.set(.logPosition, position, in: database)
        }
    }

    /// Takes one page: new instances into the outbox, and the position after it.
    ///
    /// - Parameter readThrough: the highest number when the reading began, for the last page; else nil.
    /// - Returns: how many instances were new.
    func take(_ page: Host.LogPage, readThrough: Int64?) throws(SQLiteError) -> Int {
        try write { database throws(SQLiteError) in
            var found = 0
            let now = Clock.nowMilliseconds()
            for instance in page.instances {
                let seen = try database.run("DELETE FROM seen WHERE instance = ?", .text(instance.text))
                if seen > 0 { continue }
                found &+= try database.run(
                    """
                    INSERT OR IGNORE INTO outbox (instance, size_bytes, received_at_ms, calling_ae_title)
                    VALUES (?, 0, ?, '')
                    """, .text(instance.text), .integer(now))
            }
            if let position = page.position { try Store.set(.logPosition, position, in: database) }
            if let readThrough {
                try Store.set(.logReadThrough, String(readThrough), in: database)
                try Store.set(.logReadAt, String(now), in: database)
                try database.run("DELETE FROM seen WHERE sequence <= ?", .integer(readThrough))
            }
            return found
        }
    }

    /// Forgets what is older than the administrator wants to keep.
    func forget(olderThan milliseconds: Int64) throws(SQLiteError) {
        try write { database throws(SQLiteError) in
            try database.run("DELETE FROM outcome WHERE at_ms < ?", .integer(milliseconds))
            try database.run("DELETE FROM flag WHERE flagged_at_ms < ?", .integer(milliseconds))
            try database.run("DELETE FROM result WHERE state <> 'due' AND at_ms < ?", .integer(milliseconds))
            try database.run("DELETE FROM result_send WHERE at_ms < ?", .integer(milliseconds))
            try database.run("DELETE FROM review WHERE state <> 'pending' AND at_ms < ?", .integer(milliseconds))
            try database.run(
                """
                DELETE FROM study WHERE arrived_at_ms < ? AND id NOT IN (SELECT study FROM outcome)
                AND id NOT IN (SELECT study FROM flag) AND id NOT IN (SELECT study FROM review)
                """, .integer(milliseconds))
        }
    }
}
