// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import GRDB

extension HubStore {
    /// Notes how far a site's audit log goes.
    ///
    /// - Returns: what is wrong with it, once; it is in the hub's audit log then.
    public func witness(
        _ statement: AuditStatement, of site: String, atMilliseconds now: Int64
    ) throws -> AuditWitnesses.Fault? {
        // Most hellos bring nothing new, and a read waits for nobody.
        if try pool.read({ try AuditWitnesses.isKnown($0, peer: site, statement) }) { return nil }
        return try pool.write {
            try AuditWitnesses.note($0, peer: site, statement, event: "site-log-rewritten", atMilliseconds: now)
        }
    }

    /// What the hub says to a site about its own audit log.
    public func auditStatement(to site: String, asked: Int?) throws -> AuditStatement {
        try pool.read { try AuditWitnesses.statement($0, to: site, asked: asked) }
    }

    /// Sites whose audit log was found not to be the one before, with the time of the last finding.
    public func rewrittenLogs() throws -> [String: Int64] { try pool.read { try AuditWitnesses.faults($0) } }
}
