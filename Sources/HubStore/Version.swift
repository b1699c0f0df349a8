// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// One link in a model's chain of versions.
public struct Version: Sendable, Equatable {
    public let version: ModelVersion
    /// 0 is the package's own, then one for each closed round.
    public let number: Int
    public let parametersBytes: Int
    /// The version it was made from; nil for the package's own.
    public let parent: Hash?
    /// The round that made it; nil for the package's own.
    public let round: Int?
    public let createdAtMilliseconds: Int64
}
