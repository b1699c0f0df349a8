// SPDX-License-Identifier: GPL-3.0-or-later

/// How a threshold divides studies whose truth is known.
public struct OperatingFigures: Sendable, Equatable {
    /// Studies with the finding.
    public var positives: Int
    /// Studies without it.
    public var negatives: Int
    /// Of the positives, those at or above the threshold.
    public var truePositives: Int
    /// Of the negatives, those below it.
    public var trueNegatives: Int

    public init(positives: Int, negatives: Int, truePositives: Int, trueNegatives: Int) {
        self.positives = positives
        self.negatives = negatives
        self.truePositives = truePositives
        self.trueNegatives = trueNegatives
    }

    /// nil without positives.
    public var sensitivity: Proportion? { Proportion(truePositives, of: positives) }

    /// nil without negatives.
    public var specificity: Proportion? { Proportion(trueNegatives, of: negatives) }

    /// Share of the negatives at or above the threshold, 1 − specificity; nil without negatives.
    public var falselyFlagged: Proportion? { Proportion(negatives - trueNegatives, of: negatives) }
}
