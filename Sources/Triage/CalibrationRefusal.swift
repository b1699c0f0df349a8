// SPDX-License-Identifier: GPL-3.0-or-later

/// Why no threshold was chosen.
public enum CalibrationRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    case tooFewLabels(positives: Int, negatives: Int, minimumPerClass: Int)
    /// Also the extreme threshold does not do it, because of equal or missing probabilities.
    case outOfReach(CalibrationGoal)

    public var description: String {
        switch self {
        case .tooFewLabels(let positives, let negatives, let minimum):
            "\(positives) held-out labels say present and \(negatives) say absent; it takes \(minimum) of each"
        case .outOfReach(let goal): "no threshold reaches a \(goal) on the held-out labels"
        }
    }
}
