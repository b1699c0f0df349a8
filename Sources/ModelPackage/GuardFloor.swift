// SPDX-License-Identifier: GPL-3.0-or-later

/// What a site asks of every guard rule, whoever wrote the package. Nil: the package's own word counts.
public struct GuardFloor: Sendable, Equatable {
    /// See `GuardRule.margin`.
    public var largestMargin: Double?
    /// See `GuardRule.tolerance`.
    public var largestTolerance: Double?
    /// See `GuardRule.minimumLabelsPerClass`.
    public var minimumLabelsPerClass: Int?

    public init(
        largestMargin: Double? = nil, largestTolerance: Double? = nil, minimumLabelsPerClass: Int? = nil
    ) {
        self.largestMargin = largestMargin
        self.largestTolerance = largestTolerance
        self.minimumLabelsPerClass = minimumLabelsPerClass
    }
}

extension GuardRule {
    /// This rule where it is as strict as the site asks, else the site's.
    public func bounded(by floor: GuardFloor) -> GuardRule {
        GuardRule(
            margin: min(margin, floor.largestMargin ?? margin),
            minimumLabelsPerClass: max(minimumLabelsPerClass, floor.minimumLabelsPerClass ?? minimumLabelsPerClass),
            tolerance: min(tolerance, floor.largestTolerance ?? tolerance))
    }
}
