// SPDX-License-Identifier: GPL-3.0-or-later

/// Why a screen keeps a delta out of a round, with the figures for the audit log.
public struct OutOfLine: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Screen: String, Sendable {
        /// A value moved further than the round's steps can carry it, see `StepBound`.
        case step
        /// A tensor changed by more than a multiple of what it was.
        case change
        /// The whole or a tensor changed by more than a multiple of the others' median.
        case norm
        /// It points away from where the others point.
        case cosine
    }

    public var screen: Screen
    /// Nil: the delta as a whole.
    public var tensor: String?
    /// What was found: the farthest value, a norm, or a cosine.
    public var found: Double
    /// What is allowed.
    public var bound: Double

    public init(screen: Screen, tensor: String?, found: Double, bound: Double) {
        self.screen = screen
        self.tensor = tensor
        self.found = found
        self.bound = bound
    }

    public var description: String {
        let place = tensor.map { "\($0): " } ?? ""
        let (found, bound) = (Self.short(found), Self.short(bound))
        return switch screen {
        case .step: "\(place)a change of \(found), where the round's training can make \(bound)"
        case .change: "\(place)a change of norm \(found), where the base version allows \(bound)"
        case .norm: "\(place)a change of norm \(found), where the other sites' median allows \(bound)"
        case .cosine: "a cosine of \(found) to the other sites' mean direction, at least \(bound) is asked"
        }
    }

    /// For the audit log.
    public var detail: [String: String] {
        var detail = ["screen": screen.rawValue, "found": Self.short(found), "bound": Self.short(bound)]
        // A tensor's name is the package's, but a delta of a head may name any of the base's.
        if let tensor { detail["tensor"] = String(tensor.prefix(128)) }
        return detail
    }

    /// Four digits are enough to see by how much.
    private static func short(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return "\(value)" }
        var scale = 1.0
        while abs(value) * scale < 1000, scale < 1e12 { scale *= 10 }
        return abs(value) >= 1e12 ? "\(value)" : "\((value * scale).rounded() / scale)"
    }
}
