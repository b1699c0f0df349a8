// SPDX-License-Identifier: GPL-3.0-or-later

/// How often one site was refused for one reason.
public struct RefusalCount: Sendable, Equatable {
    /// Empty for peers that are not enrolled.
    public let site: String
    /// `DeltaRefusal.rawValue`, or the name of a fault in a message or a connection.
    public let reason: String
    public let count: Int
    public let lastAtMilliseconds: Int64
}
