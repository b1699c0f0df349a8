// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// Damage that SQLite does not report by itself.
extension Store {
    /// Each transaction that changes something counts itself.
    static func countCommit(in database: Connection) throws(SQLiteError) {
        try database.run("UPDATE receipt_book SET commits = commits + 1")
    }

    /// The count in the database file, without what its write-ahead log adds; nil for a file that has none.
    static func commitsInFile(_ path: String) -> Int64? {
        guard let file = try? Connection(withoutLog: path), (try? Schema.verify(file)) != nil else { return nil }
        return try? commits(in: file)
    }

    /// Throws when the write-ahead log has lost its end after that was copied into the file: SQLite then goes on with
    /// old pages beside new ones. The copying begins at the file's beginning, where the count is.
    static func checkLog(of database: Connection, commitsInFile: Int64?) throws(SQLiteError) {
        guard let commitsInFile, let now = try commits(in: database), commitsInFile > now else { return }
        throw SQLiteError(
            code: SQLiteError.damage,
            text: "its write-ahead log ends with transaction \(now), the file already holds \(commitsInFile)")
    }

    private static func commits(in database: Connection) throws(SQLiteError) -> Int64? {
        try database.first("SELECT commits FROM receipt_book") { $0.integer(0) }
    }

    /// Reads every page of the database and sets it aside when one is damaged, and counts what is stored and cannot be
    /// read. Takes a moment for each hundred megabytes; others go on using the database meanwhile.
    func inspect() {
        let seen = generation
        do throws(SQLiteError) {
            let connection = try openReader()
            let finding = try connection.first("PRAGMA quick_check(1)") { $0.text(0) ?? "" }
            if let finding, finding != "ok" {
                throw SQLiteError(code: SQLiteError.damage, text: finding)
            }
            let flags = try connection.first("SELECT count(*) FROM flag WHERE \(Store.flagJSON("flag.json")) IS NULL") {
                Int(clamping: $0.integer(0))
            }
            let reviews = try connection.first("SELECT count(*) FROM review WHERE checked_json(json) IS NULL") {
                Int(clamping: $0.integer(0))
            }
            note(Unreadable(flags: flags ?? 0, reviews: reviews ?? 0))
        } catch {
            if error.isDamage { noticeDamage(error, generation: seen) }
        }
    }
}
