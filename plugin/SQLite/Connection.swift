// SPDX-License-Identifier: GPL-3.0-or-later
import CSQLite

/// An SQLite database. Used by one thread at a time; deliberately not Sendable, so that a `Mutex` or a thread owns it.
@safe
public final class Connection {
    /// More than the deepest expression of our own statements; SQLite walks through expressions by recursion.
    private static let deepestExpression: Int32 = 100
    /// Of a text, a row or a file of a result.
    private static let longestValueBytes: Int32 = 256 << 20

    private let raw: OpaquePointer
    private let jsonGuard = JSONGuard()
    private var statements: [String: Statement] = [:]

    /// Opens or creates the file. `:memory:` gives a private database in memory.
    ///
    /// - Throws: `SQLiteError` when the file cannot be opened; that it is damaged shows at the first statement.
    public convenience init(path: String, readOnly: Bool = false) throws(SQLiteError) {
        try self.init(
            path: path, access: readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
    }

    /// Opens the database file alone, as it is without what its write-ahead log adds. Nobody may write to it meanwhile.
    ///
    /// - Throws: `SQLiteError` when the file cannot be opened.
    public convenience init(withoutLog path: String) throws(SQLiteError) {
        var name = ""
        for byte in path.utf8 {
            let isPlain = byte > 0x20 && byte < 0x7f && !"%?#".utf8.contains(byte)
            let hex = String(byte, radix: 16)
            name += isPlain ? String(UnicodeScalar(byte)) : hex.utf8.count == 1 ? "%0" + hex : "%" + hex
        }
        try self.init(path: "file:\(name)?immutable=1", access: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI)
    }

    private init(path: String, access: Int32) throws(SQLiteError) {
        var handle: OpaquePointer?
        let code = unsafe sqlite3_open_v2(path, &handle, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let opened = unsafe handle else {
            let text = unsafe handle.map { unsafe Connection.message($0) } ?? "out of memory"
            unsafe sqlite3_close_v2(handle)
            throw SQLiteError(code: code, text: "open \(path): \(text)")
        }
        unsafe raw = opened
        unsafe sqlite3_busy_timeout(raw, 2_000)
        let hardened = unsafe Connection.harden(raw)
        let installed = hardened == SQLITE_OK ? unsafe jsonGuard.install(on: raw) : hardened
        if installed != SQLITE_OK {
            // `deinit` closes it.
            throw SQLiteError(code: installed, text: "open \(path): SQLite does not take its bounds")
        }
    }

    /// The file may have been written by anybody: nothing in its schema runs code, and what it makes SQLite do is bounded.
    private static func harden(_ raw: OpaquePointer) -> Int32 {
        for (limit, value) in [
            (SQLITE_LIMIT_LENGTH, longestValueBytes), (SQLITE_LIMIT_EXPR_DEPTH, deepestExpression),
            (SQLITE_LIMIT_COMPOUND_SELECT, 10), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100), (SQLITE_LIMIT_ATTACHED, 0),
            (SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        ] { unsafe sqlite3_limit(raw, limit, value) }
        for (option, value) in [
            (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0), (SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
            (SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        ] {
            let code = unsafe csqlite_switch(raw, option, Int32(value))
            if code != SQLITE_OK { return code }
        }
        return SQLITE_OK
    }

    deinit {
        statements.removeAll()
        unsafe sqlite3_close_v2(raw)
    }

    /// Runs statements without parameters, separated by semicolons.
    public func execute(_ sql: String) throws(SQLiteError) {
        let code = unsafe sqlite3_exec(raw, sql, nil, nil, nil)
        if code != SQLITE_OK { throw error(code, sql) }
    }

    /// Runs one statement that gives no rows.
    ///
    /// - Returns: the number of rows it changed.
    @discardableResult
    public func run(_ sql: String, _ values: Value...) throws(SQLiteError) -> Int {
        _ = try rows(sql, values) { _ in }
        return unsafe Int(sqlite3_changes(raw))
    }

    /// All rows of one statement, each read by `read`.
    public func rows<Result>(
        _ sql: String, _ values: [Value] = [], _ read: (Row) -> Result
    ) throws(SQLiteError) -> [Result] {
        let statement = try prepare(sql)
        defer { statement.reset() }
        if let code = statement.bind(values) { throw error(code, sql) }
        var results: [Result] = []
        while true {
            let code = statement.step()
            if code == SQLITE_DONE { return results }
            guard code == SQLITE_ROW else { throw error(code, sql) }
            results.append(read(Row(statement)))
        }
    }

    /// The first row of one statement, nil when it has none.
    public func first<Result>(
        _ sql: String, _ values: Value..., read: (Row) -> Result
    ) throws(SQLiteError) -> Result? {
        try rows(sql, values, read).first
    }

    /// Id of the row that the last INSERT made.
    public var lastInsertedRow: Int64 { unsafe sqlite3_last_insert_rowid(raw) }

    /// Rows that were inserted, changed or deleted since the database was opened.
    public var changes: Int64 { unsafe sqlite3_total_changes64(raw) }

    /// Runs `body` in one transaction, which is rolled back when it throws.
    public func transaction<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
        try run("BEGIN IMMEDIATE")
        do {
            let result = try body()
            try run("COMMIT")
            return result
        } catch {
            // SQLite rolls back by itself after some errors; then this one reports that there is nothing to do.
            _ = try? run("ROLLBACK")
            throw error
        }
    }

    /// Statements are kept: the same few run again and again.
    private func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        if let known = statements[sql] { return known }
        var handle: OpaquePointer?
        jsonGuard.begin()
        let code = unsafe sqlite3_prepare_v2(raw, sql, -1, &handle, nil)
        guard code == SQLITE_OK, let handle = unsafe handle else { throw error(code, sql) }
        let statement = unsafe Statement(handle)
        guard jsonGuard.allows else {
            throw SQLiteError(code: SQLITE_AUTH, text: "JSON is read without checked_json (\(sql.prefix(40))…)")
        }
        if statements.count > 100 { statements.removeAll() }
        statements[sql] = statement
        return statement
    }

    private func error(_ code: Int32, _ sql: String) -> SQLiteError {
        unsafe SQLiteError(code: code, text: "\(Connection.message(raw)) (\(sql.prefix(40))…)")
    }

    private static func message(_ raw: OpaquePointer) -> String {
        unsafe String(cString: sqlite3_errmsg(raw))
    }
}
