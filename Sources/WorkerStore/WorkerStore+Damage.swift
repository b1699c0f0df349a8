// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB

extension DatabaseError {
    /// The file's content is not a database that can be read; trying again does not help.
    var isDamage: Bool { resultCode == .SQLITE_CORRUPT || resultCode == .SQLITE_NOTADB }

    /// The disk is full, read-only or gone for the moment.
    var isPassing: Bool {
        [.SQLITE_FULL, .SQLITE_READONLY, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_BUSY].contains(resultCode)
    }
}

extension WorkerStore {
    /// Whether the state could not be used for a reason that goes away by itself: try again.
    public static func isPassing(_ error: any Error) -> Bool {
        switch error {
        case WorkerStoreError.unavailable, WorkerStoreError.damaged: true
        case let error as DatabaseError: error.isPassing
        default: false
        }
    }

    /// The count of transactions in the database file, without what its write-ahead log adds; nil for a file that has
    /// none.
    static func commitsInFile(_ file: URL) -> Int64? {
        var configuration = Configuration()
        configuration.readonly = true
        let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "/-._~"))
        guard let path = file.path.addingPercentEncoding(withAllowedCharacters: plain),
            let database = try? DatabaseQueue(path: "file:\(path)?immutable=1", configuration: configuration)
        else { return nil }
        return try? database.read { try Int64.fetchOne($0, sql: "SELECT commits FROM receipt_book") }
    }

    /// Throws when the write-ahead log has lost its end after that was copied into the file (SQLite then goes on with
    /// old pages beside new ones; the copying begins at the file's beginning, where the count is), or when a page is
    /// not what it should be.
    static func inspect(_ db: Database, commitsInFile: Int64?) throws {
        let commits = try Int64.fetchOne(db, sql: "SELECT commits FROM receipt_book") ?? 0
        if let commitsInFile, commitsInFile > commits {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT,
                message: "its write-ahead log ends with transaction \(commits), the file already holds \(commitsInFile)"
            )
        }
        let finding = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? ""
        if finding != "ok" { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: finding) }
    }

    /// Renames the database's files.
    static func setAside(_ file: URL, reason: String) throws -> SetAside {
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let name = "\(file.path).damaged-\(now)"
        guard rename(file.path, name) == 0 else {
            throw WorkerStoreError.unavailable(
                file.path, "it is damaged (\(reason)) and cannot be renamed: \(String(cString: strerror(errno)))")
        }
        for suffix in ["-wal", "-shm"] { rename(file.path + suffix, name + suffix) }
        return SetAside(path: name, reason: reason, at: now)
    }

    /// Damage that was met while the database was in use is left for the next opening to see.
    static func noteDamage(of file: URL, reason: String) {
        let note = URL(filePath: file.path + noteSuffix)
        do {
            try Data(reason.utf8).write(to: note)
        } catch {
            // No room for a note: without the file there is nothing to open.
            _ = try? setAside(file, reason: reason)
        }
    }

    static func setAsideAsNoted(_ file: URL) throws -> SetAside? {
        let note = URL(filePath: file.path + noteSuffix)
        guard let reason = try? Data(contentsOf: note) else { return nil }
        let exists = FileManager.default.fileExists(atPath: file.path)
        let aside = exists ? try setAside(file, reason: String(decoding: reason, as: UTF8.self)) : nil
        unlink(note.path)
        return aside
    }

    private static let noteSuffix = ".found-damaged"

    /// How many databases were set aside in this directory, and the last one that this database knows of.
    public func setAsides() -> (count: Int, last: SetAside?) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        let count = names.count {
            $0.hasPrefix("worker.sqlite.damaged-") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm")
        }
        return (count, (try? read { try $0.lastSetAside() }) ?? nil)
    }
}

extension WorkerTransaction {
    func note(_ aside: SetAside) throws {
        try db.execute(
            sql: "INSERT INTO set_aside (path, reason, at_ms) VALUES (?, ?, ?)",
            arguments: [aside.path, aside.reason, aside.at])
        try audit("database-set-aside", ["file": (aside.path as NSString).lastPathComponent])
    }

    func lastSetAside() throws -> SetAside? {
        try Row.fetchOne(db, sql: "SELECT path, reason, at_ms FROM set_aside ORDER BY at_ms DESC LIMIT 1").map {
            SetAside(path: $0["path"], reason: $0["reason"], at: $0["at_ms"])
        }
    }
}
