// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB

/// One decision in the audit log.
public struct AuditEntry: Sendable, Equatable {
    /// 1, 2, 3 … without a gap.
    public let number: Int64
    /// Unix time in UTC.
    public let atMilliseconds: Int64
    public let event: String
    public let detail: [String: String]
    /// Hash of the entry before; 64 zeros for the first.
    public let previousHash: String
    public let hash: String

    init(
        number: Int64, atMilliseconds: Int64, event: String, detail: [String: String], previousHash: String,
        hash: String
    ) {
        self.number = number
        self.atMilliseconds = atMilliseconds
        self.event = event
        self.detail = detail
        self.previousHash = previousHash
        self.hash = hash
    }

    init(row: Row) {
        let text: String = row["detail"]
        self.init(
            number: row["number"], atMilliseconds: row["at_ms"], event: row["event"],
            detail: (try? JSONDecoder().decode([String: String].self, from: Data(text.utf8))) ?? [:],
            previousHash: row["previous_hash"], hash: row["hash"])
    }
}
