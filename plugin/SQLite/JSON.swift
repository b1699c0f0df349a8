// SPDX-License-Identifier: GPL-3.0-or-later

/// Reads JSON text with SQLite's JSON functions: the plugin needs no JSON library. Text beyond `JSONBounds.document` counts
/// as no JSON.
public final class JSON {
    private let database: Connection

    /// - Throws: `SQLiteError` when memory is exhausted.
    public init() throws(SQLiteError) {
        database = try Connection(path: ":memory:")
    }

    /// Whether `text` is one JSON object.
    public func isObject(_ text: String) -> Bool {
        read("SELECT json_type(checked_document(?1)) = 'object'", text) == "1"
    }

    /// The text, number or (as JSON) object at `path`, in SQLite's path language (`$.Gantry.Name`); nil when it is
    /// not there, null, or `text` is not JSON. True is `1`.
    public func value(_ text: String, at path: String) -> String? {
        read("SELECT json_extract(checked_document(?1), ?2)", text, path)
    }

    /// Members of the object in `text`: name, JSON type, and value as `value(_:at:)` gives it. Empty for other JSON.
    public func members(of text: String) -> [(name: String, type: String, value: String)] {
        guard isObject(text) else { return [] }
        let rows = try? database.rows("SELECT key, type, value FROM json_each(checked_document(?1))", [.text(text)]) {
            row in
            (name: row.text(0) ?? "", type: row.text(1) ?? "null", value: row.text(2) ?? "")
        }
        return rows ?? []
    }

    /// The elements of the array at `path`, each as `value(_:at:)` gives it.
    public func elements(_ text: String, at path: String) -> [String] {
        let rows = try? database.rows(
            "SELECT value FROM json_each(checked_document(?1), ?2)", [.text(text), .text(path)]
        ) { $0.text(0) }
        return (rows ?? []).compactMap { $0 }
    }

    /// Whether every element of the array in `text` is text.
    public func areTexts(_ text: String) -> Bool {
        select(
            """
            SELECT count(*) FROM json_each(checked_document(?1)) WHERE type <> 'text'
            HAVING json_type(checked_document(?1)) = 'array'
            """, text
        ).first == "0"
    }

    /// The text as JSON.
    public func quote(_ text: String) -> String { read("SELECT json_quote(?1)", text) ?? "\"\"" }

    /// Runs a query of the caller's over `texts` (`?1`, `?2`, …); the first column of each row. Empty when something fails.
    /// What it parses goes through `checked_document`, see `JSONGuard`.
    public func select(_ sql: String, _ texts: String...) -> [String] {
        let rows = try? database.rows(sql, texts.map(Value.text)) { $0.text(0) }
        return (rows ?? []).compactMap { $0 }
    }

    private func read(_ sql: String, _ values: String...) -> String? {
        let rows = try? database.rows(sql, values.map(Value.text)) { $0.text(0) }
        return (rows ?? []).first.flatMap { $0 }
    }
}
