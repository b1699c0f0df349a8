// SPDX-License-Identifier: GPL-3.0-or-later

/// What `AuditLog.verify` found in a log that is whole.
public struct AuditSummary: Sendable, Equatable {
    public let entries: Int
    /// Hash of the last entry, to be kept elsewhere; 64 zeros when there is none.
    public let lastHash: String
}
