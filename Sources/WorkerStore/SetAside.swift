// SPDX-License-Identifier: GPL-3.0-or-later

/// A damaged database under its new name.
public struct SetAside: Sendable, Equatable {
    public var path: String
    public var reason: String
    /// Unix milliseconds UTC.
    public var at: Int64
}
