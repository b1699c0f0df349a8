// SPDX-License-Identifier: GPL-3.0-or-later
import CSQLite

/// An SQLite call that failed.
public struct SQLiteError: Error, Equatable, CustomStringConvertible {
    /// SQLite's code for content that is not what it should be.
    public static let damage = SQLITE_CORRUPT
    public static let noMemory = SQLITE_NOMEM

    /// SQLite's primary result code, for example `SQLITE_FULL`.
    public let code: Int32
    /// SQLite's own words, with what was tried.
    public let text: String

    public init(code: Int32, text: String) {
        self.code = code & 0xff
        self.text = text
    }

    public var description: String { text }

    /// The file's content is not a database that can be read; trying again does not help.
    public var isDamage: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
}
