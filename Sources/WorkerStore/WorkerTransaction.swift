// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import GRDB

/// What can be read and changed in one transaction of `WorkerStore`. Valid inside the closure it is given to.
public struct WorkerTransaction {
    let db: Database

    /// Adds an entry to the audit log: counts, hashes and names of models, never text from a study.
    public func audit(_ event: String, _ detail: [String: String]) throws {
        try AuditLog.append(db, event: event, detail: detail)
    }
}
