// SPDX-License-Identifier: GPL-3.0-or-later
import CSQLite

/// A prepared statement; belongs to its connection.
@safe
final class Statement {
    let raw: OpaquePointer

    init(_ raw: OpaquePointer) { unsafe self.raw = raw }

    deinit { unsafe sqlite3_finalize(raw) }

    /// The code of the first parameter that could not be bound, else nil.
    func bind(_ values: [Value]) -> Int32? {
        for (offset, value) in values.enumerated() {
            let index = Int32(truncatingIfNeeded: offset &+ 1)
            let code = bind(value, at: index)
            if code != SQLITE_OK { return code }
        }
        return nil
    }

    private func bind(_ value: Value, at index: Int32) -> Int32 {
        switch value {
        case .integer(let number): return unsafe sqlite3_bind_int64(raw, index, number)
        case .real(let number): return unsafe sqlite3_bind_double(raw, index, number)
        case .null: return unsafe sqlite3_bind_null(raw, index)
        case .text(let text):
            // SQLITE_TRANSIENT: SQLite makes its own copy of the text.
            let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
            return unsafe sqlite3_bind_text(raw, index, text, Int32(clamping: text.utf8.count), transient)
        case .blob(let bytes):
            let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
            return unsafe bytes.withUnsafeBytes { buffer in
                // A null pointer would bind NULL.
                guard let base = buffer.baseAddress else { return unsafe sqlite3_bind_zeroblob(raw, index, 0) }
                return unsafe sqlite3_bind_blob(raw, index, base, Int32(clamping: buffer.count), transient)
            }
        }
    }

    func step() -> Int32 { unsafe sqlite3_step(raw) }

    func reset() {
        unsafe sqlite3_reset(raw)
        unsafe sqlite3_clear_bindings(raw)
    }
}

/// The current row of a query, valid while it is being read.
public struct Row {
    private let statement: Statement

    init(_ statement: Statement) { self.statement = statement }

    /// 0 for NULL.
    public func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(statement.raw, column) }

    /// 0 for NULL.
    public func real(_ column: Int32) -> Double { unsafe sqlite3_column_double(statement.raw, column) }

    /// Nil for NULL.
    public func text(_ column: Int32) -> String? {
        guard let bytes = unsafe sqlite3_column_text(statement.raw, column) else { return nil }
        return unsafe String(cString: bytes)
    }

    /// Empty for NULL.
    public func blob(_ column: Int32) -> [UInt8] {
        guard let bytes = unsafe sqlite3_column_blob(statement.raw, column) else { return [] }
        let count = unsafe Int(max(sqlite3_column_bytes(statement.raw, column), 0))
        return unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
    }
}
