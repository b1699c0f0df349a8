// SPDX-License-Identifier: GPL-3.0-or-later
import Statistics

/// What a site asks of an operating threshold.
public enum CalibrationGoal: Sendable, Equatable, CustomStringConvertible {
    /// So large a share of the studies with the finding is flagged, 0…1.
    case sensitivity(Double)
    /// So large a share of the studies without it is not flagged, 0…1.
    case specificity(Double)
    /// This threshold and no other, 0…1.
    case threshold(Double)

    /// `sensitivity`, `specificity` or `threshold`.
    public var name: String {
        switch self {
        case .sensitivity: "sensitivity"
        case .specificity: "specificity"
        case .threshold: "threshold"
        }
    }

    public var value: Double {
        switch self {
        case .sensitivity(let value), .specificity(let value), .threshold(let value): value
        }
    }

    public init?(name: String, value: Double) {
        switch name {
        case "sensitivity": self = .sensitivity(value)
        case "specificity": self = .specificity(value)
        case "threshold": self = .threshold(value)
        default: return nil
        }
    }

    public var description: String { "\(name) \(value)" }

    /// nil: the threshold is given and nothing is chosen.
    var onCurve: ROCCurve.Goal? {
        switch self {
        case .sensitivity(let value): .sensitivity(value)
        case .specificity(let value): .specificity(value)
        case .threshold: nil
        }
    }
}
