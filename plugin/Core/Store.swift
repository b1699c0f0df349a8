// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// gateway.sqlite: opened when it can be, tried again when it cannot, set aside and begun anew when it is damaged.
///
/// Any thread but the hook's.
final class Store: Sendable {
    /// How long a database that could not be used is left alone.
    private static let retryMilliseconds: Int64 = 1_000

    // Unchecked: reached through the lock `writer` alone, which is held for as long as the connection is used.
    private struct Writer: @unchecked Sendable {
        var connection: Connection?
        /// Held from the first opening to `close`, also while a damaged database is set aside.
        var lock: DirectoryLock?
        var failure: String?
        var retryAtMilliseconds: Int64 = 0
        /// The state of the database whose receipts have jumped since the process began.
        var jumpedState = ""
        var lastSetAside: SetAside?
    }

    // Unchecked: reached through the lock `reader` alone, which is held for as long as the connection is used.
    private struct Reader: @unchecked Sendable {
        var connection: Connection?
        var generation = 0
    }

    struct Health: Sendable, Equatable {
        /// Nil when the database can be used.
        var failure: String?
        /// Databases that were set aside since start.
        var setAside: Int
        var lastSetAside: SetAside?
        var unreadable: Unreadable
    }

    /// Rows whose JSON is none, or beyond `JSONBounds.incoming`, when the database was inspected last: at start and once a
    /// day.
    struct Unreadable: Sendable, Equatable {
        var flags = 0
        var reviews = 0
    }

    /// A damaged database under its new name.
    struct SetAside: Sendable, Equatable {
        var path: String
        var reason: String
        var atMilliseconds: Int64
    }

    private let directory: String
    private let host: Host
    private let writer = Mutex(Writer())
    private let reader = Mutex(Reader())
    private let setAsideCount = Atomic<Int>(0)
    private let unreadable = Mutex(Unreadable())
    /// Begins with the time, so that a number from before a restart does not come again.
    private let worklistCount = Atomic<UInt64>(UInt64(clamping: Clock.nowMilliseconds()))

    var path: String { directory + "/gateway.sqlite" }

    init(directory: String, host: Host) {
        self.directory = directory
        self.host = host
    }

    /// Counts databases begun anew: whoever remembers row numbers forgets them when it changes.
    var generation: Int { setAsideCount.load(ordering: .relaxed) }

    /// Another number whenever the worklist may have changed otherwise than by time.
    var worklistVersion: UInt64 { worklistCount.load(ordering: .acquiring) }

    /// After the commit, so that whoever saw the number also sees what it stands for.
    func noteWorklistChange() { worklistCount.wrappingAdd(1, ordering: .releasing) }

    var health: Health {
        let unreadable = unreadable.withLock { $0 }
        return writer.withLock { writer in
            Health(
                failure: writer.failure, setAside: generation, lastSetAside: writer.lastSetAside,
                unreadable: unreadable)
        }
    }

    func note(_ found: Unreadable) {
        let before = unreadable.withLock { counts in
            defer { counts = found }
            return counts
        }
        guard found != before, found != Unreadable() else { return }
        host.warning(
            "In the database \(path), \(found.flags) flags and \(found.reviews) reviews cannot be read: they are no JSON, "
                + "or nested too deep. Their studies stay in the worklist and say so.")
    }

    /// Runs `body` in one transaction.
    ///
    /// - Parameter durable: survives a power cut when it returns. Without it the last transactions may be undone by
    ///   one, together: that is enough for what the host's log or the worker would repeat.
    /// - Throws: `SQLiteError` when the database cannot be used at present; nothing was written then.
    @discardableResult
    func write<Result: Sendable>(
        durable: Bool = false, _ body: (Connection) throws(SQLiteError) -> Result
    ) throws(SQLiteError) -> Result {
        try writer.withLock { writer throws(SQLiteError) in
            let connection = try open(&writer)
            do throws(SQLiteError) {
                try connection.execute(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
                let result = try connection.transaction { () throws(SQLiteError) in
                    let before = connection.changes
                    let result = try body(connection)
                    if connection.changes != before { try Store.countCommit(in: connection) }
                    return result
                }
                if writer.failure != nil {
                    host.warning("The database \(path) can be used again.")
                    writer.failure = nil
                }
                return result
            } catch {
                fail(&writer, error)
                throw error
            }
        }
    }

    /// Reads beside the writer.
    ///
    /// - Throws: `SQLiteError` when there is no database at present.
    func read<Result: Sendable>(_ body: (Connection) throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
        try reader.withLock { reader throws(SQLiteError) in
            if reader.generation != generation { reader = Reader(generation: generation) }
            do throws(SQLiteError) {
                if let connection = reader.connection { return try body(connection) }
                let connection = try openReader()
                reader.connection = connection
                return try body(connection)
            } catch {
                reader.connection = nil
                if error.isDamage { noticeDamage(error, generation: reader.generation) }
                throw error
            }
        }
    }

    func openReader() throws(SQLiteError) -> Connection {
        let connection = try Connection(path: path, readOnly: true)
        try Schema.verify(connection)
        return connection
    }

    /// The writer may not see damage for a long time, as it has the pages it needs in its cache.
    func noticeDamage(_ error: SQLiteError, generation seen: Int) {
        writer.withLock { writer in
            // Else the writer has already begun anew.
            if seen == generation { fail(&writer, error) }
        }
    }

    func close() {
        reader.withLock { $0.connection = nil }
        writer.withLock { writer in
            writer.connection = nil
            writer.lock = nil
        }
    }

    // MARK: Opening

    private func open(_ writer: inout Writer) throws(SQLiteError) -> Connection {
        if let connection = writer.connection { return connection }
        if let failure = writer.failure, Clock.steadyMilliseconds() < writer.retryAtMilliseconds {
            throw SQLiteError(code: 14, text: failure)
        }
        do throws(SQLiteError) {
            makeDirectory()
            if writer.lock == nil { writer.lock = try DirectoryLock(directory: directory) }
            let connection = try openFile()
            if try Store.receipts(in: connection).state != writer.jumpedState {
                writer.jumpedState = try Store.jumpReceipts(in: connection)
            }
            // On a full disk everything works but writing: without this, each look into it would seem to be a recovery.
            if writer.failure != nil {
                try connection.transaction { () throws(SQLiteError) in try Store.countCommit(in: connection) }
            }
            writer.connection = connection
            return connection
        } catch {
            fail(&writer, error)
            throw error
        }
    }

    private func openFile() throws(SQLiteError) -> Connection {
        let commitsInFile = Store.commitsInFile(path)
        let connection = try Connection(path: path)
        // The file names patients' studies.
        unsafe chmod(path, 0o600)
        try connection.execute(
            "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 16777216; PRAGMA wal_autocheckpoint = 4000")
        try Schema.migrate(connection)
        try Store.checkLog(of: connection, commitsInFile: commitsInFile)
        return connection
    }

    private func makeDirectory() {
        var partial = ""
        for component in directory.split(separator: "/", omittingEmptySubsequences: true) {
            partial += (partial.isEmpty && !directory.hasPrefix("/") ? "" : "/") + component
            unsafe mkdir(partial, 0o700)
        }
    }

    private func fail(_ writer: inout Writer, _ error: SQLiteError) {
        writer.connection = nil
        writer.retryAtMilliseconds = Clock.steadyMilliseconds() &+ Store.retryMilliseconds
        if error.isDamage, setAside(&writer, error) {
            writer.retryAtMilliseconds = 0
        } else if writer.failure == nil {
            host.error(
                "The database \(path) cannot be used: \(error). Instances go on being stored; Gantry tries again and "
                    + "finds in the gateway's log what it missed.")
        }
        writer.failure = error.text
        // A reader that was opened while the disk was read-only shares its read-only index with every connection that
        // comes after it. (When the failure is damage, the reader may be the one who says so, and drops its own.)
        if !error.isDamage { reader.withLockIfAvailable { $0.connection = nil } }
    }

    /// Renames the damaged files, so that the next attempt begins with a fresh database.
    private func setAside(_ writer: inout Writer, _ error: SQLiteError) -> Bool {
        let now = Clock.nowMilliseconds()
        let name = "\(path).damaged-\(now)"
        guard unsafe rename(path, name) == 0 else { return false }
        for suffix in ["-wal", "-shm"] { unsafe rename(path + suffix, name + suffix) }
        setAsideCount.wrappingAdd(1, ordering: .relaxed)
        noteWorklistChange()
        host.error(
            "The database \(path) is damaged: \(error). It was set aside as \(name); a fresh one is filled from the "
                + "gateway's log.")
        writer.lastSetAside = SetAside(path: name, reason: error.text, atMilliseconds: now)
        return true
    }
}
