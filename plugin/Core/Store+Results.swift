// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

/// Objects about studies, from the worker to the host's archive. The file is kept until the host has stored it.
extension Store {
    /// A result message as the worker sent it.
    struct ResultMessage: Sendable {
        var object: String
        var kind: String
        /// The flag that it tells.
        var flag: String
        var studyInstanceUID: String
        var file: [UInt8]
    }

    /// Commits objects, surviving a power cut: only then they are acknowledged. One that is known stays as it is.
    ///
    /// - Returns: the receipt for all of them.
    func save(results: [ResultMessage]) throws(SQLiteError) -> Receipt {
        try write(durable: true) { database throws(SQLiteError) in
            let receipt = try Store.nextReceipt(in: database)
            for result in results {
                try database.run(
                    """
                    INSERT OR IGNORE INTO result (object, study_instance_uid, kind, flag, state, reason, at_ms, file)
                    VALUES (?, ?, ?, ?, 'due', '', ?, ?)
                    """, .text(result.object), .text(result.studyInstanceUID), .text(result.kind),
                    .text(result.flag), .integer(Clock.nowMilliseconds()), .blob(result.file))
            }
            return receipt
        }
    }

    /// SOPInstanceUID of the last report about a flag; empty when there is none.
    static func lastReport(about flag: String, in database: Connection) throws(SQLiteError) -> String {
        try database.first(
            """
            SELECT object FROM result WHERE flag = ? AND kind = 'report' AND state <> 'refused'
            ORDER BY rowid DESC LIMIT 1
            """, .text(flag)
        ) { $0.text(0) ?? "" } ?? ""
    }

    /// An object that the host has not stored.
    func resultToStore() throws(SQLiteError) -> StoredResult? {
        try write { database throws(SQLiteError) in
            try database.first("SELECT object, file FROM result WHERE state = 'due' ORDER BY at_ms LIMIT 1") { row in
                StoredResult(object: row.text(0) ?? "", file: row.blob(1))
            }
        }
    }

    /// - Parameters:
    ///   - refusal: why the host will never store it; nil: it has.
    ///   - targets: where it is sent to then.
    func markStored(_ object: String, refusal: String?, targets: [String]) throws(SQLiteError) {
        defer { noteWorklistChange() }
        try write { database throws(SQLiteError) in
            for target in targets where refusal == nil { try Store.addSend(of: object, to: target, in: database) }
            try database.run(
                "UPDATE result SET state = ?, reason = ?, file = x'' WHERE object = ?",
                .text(refusal == nil ? "stored" : "refused"), .text(refusal ?? ""), .text(object))
        }
    }
}
