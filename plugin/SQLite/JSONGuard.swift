// SPDX-License-Identifier: GPL-3.0-or-later
import CSQLite

/// What keeps unchecked text from SQLite's recursive JSON functions, on every connection:
///
/// - `checked_json(text)` gives the text, as JSON, when it is within `JSONBounds.incoming`, else NULL;
///   `checked_document(text)` likewise for `JSONBounds.document`. Both are used wherever SQL reads JSON, also for the
///   elements that `json_each` gives: an element that is text may look like JSON itself.
/// - A statement that reads JSON without either is not prepared, so that one cannot be forgotten altogether.
final class JSONGuard {
    /// Functions that put JSON together, and parse nothing.
    private static let builders: Set<String> = [
        "json_array", "json_object", "json_quote", "json_group_array", "json_group_object",
    ]
    private static let checks: Set<String> = ["checked_json", "checked_document"]

    /// Marks a text as JSON for SQLite's own functions.
    private static let jsonSubtype: UInt32 = 74
    /// SQLITE_RESULT_SUBTYPE, asked for from SQLite 3.45 on and without meaning before it.
    private static let givesSubtype: Int32 = 0x0100_0000

    private var readsJSON = false
    private var checksJSON = false

    /// Registers the functions, and looks at every statement that is prepared from now on. The guard must live as long as
    /// the database is open.
    ///
    /// - Returns: SQLite's code.
    func install(on raw: OpaquePointer) -> Int32 {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY | JSONGuard.givesSubtype
        var code = unsafe sqlite3_create_function_v2(
            raw, "checked_json", 1, flags, nil,
            { context, _, values in unsafe JSONGuard.check(values, .incoming, context) }, nil, nil, nil)
        if code != SQLITE_OK { return code }
        code = unsafe sqlite3_create_function_v2(
            raw, "checked_document", 1, flags, nil,
            { context, _, values in unsafe JSONGuard.check(values, .document, context) }, nil, nil, nil)
        if code != SQLITE_OK { return code }
        return unsafe sqlite3_set_authorizer(
            raw,
            { context, action, table, function, _, _ in
                guard let context = unsafe context else { return SQLITE_DENY }
                let name = unsafe action == SQLITE_FUNCTION ? function : action == SQLITE_READ ? table : nil
                guard let name = unsafe name else { return SQLITE_OK }
                unsafe Unmanaged<JSONGuard>.fromOpaque(context).takeUnretainedValue().note(String(cString: name))
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// A statement is about to be prepared.
    func begin() {
        readsJSON = false
        checksJSON = false
    }

    /// Whether the statement that was prepared last may be run.
    var allows: Bool { checksJSON || !readsJSON }

    /// - Parameter name: of a function, or of a table that is read, as `json_each` is.
    private func note(_ name: String) {
        if JSONGuard.checks.contains(name) {
            checksJSON = true
        } else if name == "->" || name == "->>" || (name.hasPrefix("json") && !JSONGuard.builders.contains(name)) {
            readsJSON = true
        }
    }

    private static func check(
        _ values: UnsafeMutablePointer<OpaquePointer?>?, _ bounds: JSONBounds, _ context: OpaquePointer?
    ) {
        guard let value = unsafe values?.pointee, unsafe sqlite3_value_type(value) == SQLITE_TEXT,
            let text = unsafe sqlite3_value_text(value)
        else { return unsafe sqlite3_result_null(context) }
        let count = unsafe Int(max(sqlite3_value_bytes(value), 0))
        guard unsafe bounds.fault(in: UnsafeRawBufferPointer(start: text, count: count)) == nil else {
            return unsafe sqlite3_result_null(context)
        }
        unsafe sqlite3_result_value(context, value)
        unsafe sqlite3_result_subtype(context, jsonSubtype)
    }
}
