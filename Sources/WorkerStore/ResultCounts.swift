// SPDX-License-Identifier: GPL-3.0-or-later

/// How far the final flags are told to the archive.
public struct ResultCounts: Sendable, Equatable {
    /// Final flags whose objects have still to be made.
    public var due: Int
    /// Objects that their gateway does not have yet.
    public var unsent: Int
    /// Flags whose objects could not be made, and objects that a gateway refused, by the name of the reason.
    public var failed: [String: Int]

    public init(due: Int, unsent: Int, failed: [String: Int]) {
        self.due = due
        self.unsent = unsent
        self.failed = failed
    }
}
