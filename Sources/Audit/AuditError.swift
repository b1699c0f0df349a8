// SPDX-License-Identifier: GPL-3.0-or-later

/// Why an audit log is not what was written. The number is the first entry that does not fit.
public enum AuditError: Error, Equatable, CustomStringConvertible {
    case noTable
    /// The entry, or its link to the one before it, was changed.
    case changed(number: Int64)
    /// The entry was removed, or its number changed.
    case missing(number: Int64)
    /// The chain is consistent and does not contain a hash that an earlier check gave.
    case unknownHash(String)
    /// The chain is consistent, and an entry is not the one that somebody else has seen.
    case rewritten(number: Int64, witnessed: String, found: String)
    /// The chain is consistent and shorter than what somebody else has seen.
    case cutOff(entries: Int64, witnessed: Int64)

    public var description: String {
        switch self {
        case .noTable:
            "the database has no audit log; is it a worker.sqlite or a hub.sqlite?"
        case .changed(let number):
            "entry \(number) of the audit log was changed after it was written; the entries before it are intact. "
                + "Keep this file as evidence and compare it with a backup"
        case .missing(let number):
            "entry \(number) of the audit log is missing; the entries before it are intact. "
                + "Keep this file as evidence and compare it with a backup"
        case .unknownHash(let hash):
            "the audit log is consistent in itself but does not contain the entry with hash \(hash): "
                + "it was cut off or written anew since that hash was noted"
        case .rewritten(let number, let witnessed, let found):
            "the audit log is consistent in itself, but its entry \(number) has the hash \(found), and the other side has "
                + "seen it with \(witnessed): the log was rewritten, or restored from an older copy and gone on with. "
                + "Keep this file as evidence and compare it with a backup"
        case .cutOff(let entries, let witnessed):
            "the audit log is consistent in itself, but has \(entries) entries, and the other side has seen "
                + "\(witnessed): it was cut off, rewritten, or restored from an older copy. "
                + "Keep this file as evidence and compare it with a backup"
        }
    }
}
