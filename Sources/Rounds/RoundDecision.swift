// SPDX-License-Identifier: GPL-3.0-or-later

/// What happens to an open round now.
public enum RoundDecision: Sendable, Equatable {
    case wait
    /// Close it for deltas and compute the new version.
    case aggregate
    /// Wait once more, until this deadline.
    case extend(deadlineMilliseconds: Int64)
    case void(reason: String)
}
