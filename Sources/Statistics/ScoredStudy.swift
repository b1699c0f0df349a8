// SPDX-License-Identifier: GPL-3.0-or-later

/// What a model said about a study, and what is known to be true.
public struct ScoredStudy: Sendable, Equatable {
    /// 0…1; a value that is no number counts as lower than every other.
    public var probability: Double
    public var isPresent: Bool

    public init(probability: Double, isPresent: Bool) {
        self.probability = probability
        self.isPresent = isPresent
    }
}
