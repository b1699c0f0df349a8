// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation

extension WorkerTransaction {
    /// What this site says to the hub about its own audit log.
    public func auditStatement(to hub: String, asked: Int?) throws -> AuditStatement {
        try AuditWitnesses.statement(db, to: hub, asked: asked)
    }

    public func isKnown(_ statement: AuditStatement, of hub: String) throws -> Bool {
        try AuditWitnesses.isKnown(db, peer: hub, statement)
    }

    /// Notes how far the hub's audit log goes.
    ///
    /// - Returns: what is wrong with it, once; it is in this site's audit log then.
    public func witness(
        _ statement: AuditStatement, of hub: String, atMilliseconds now: Int64
    ) throws -> AuditWitnesses.Fault? {
        try AuditWitnesses.note(db, peer: hub, statement, event: "hub-log-rewritten", atMilliseconds: now)
    }

    /// When the hub's log was last found not to be the one before; nil for never.
    public func hubLogRewritten(_ hub: String) throws -> Int64? { try AuditWitnesses.faults(db)[hub] }
}
