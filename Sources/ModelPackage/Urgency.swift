// SPDX-License-Identifier: GPL-3.0-or-later

/// How soon somebody should look at a study in which the finding is positive. The order is the worklist's order.
public enum Urgency: String, Codable, Sendable, CaseIterable, Comparable {
    case none, routine, urgent, critical

    public static func < (left: Urgency, right: Urgency) -> Bool {
        left.rank < right.rank
    }

    /// 0 for none to 3 for critical.
    public var rank: Int {
        switch self {
        case .none: 0
        case .routine: 1
        case .urgent: 2
        case .critical: 3
        }
    }
}
