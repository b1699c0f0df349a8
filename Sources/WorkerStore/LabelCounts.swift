// SPDX-License-Identifier: GPL-3.0-or-later

/// How many labelled studies with a kept example a package has.
public struct LabelCounts: Sendable, Equatable {
    /// Studies that may be trained on.
    public var training = 0
    /// Of these, the ones with a label newer than the last contribution to a round.
    public var new = 0
    public var heldOut = 0
    /// Training labels (not studies) that say present and absent, over all findings.
    public var trainingPresent = 0
    public var trainingAbsent = 0
    /// The newest label's number; 0 when there is none.
    public var lastLabel: Int64 = 0

    public init() {}
}
