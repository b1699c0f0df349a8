// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage

/// A model package at the hub with its newest version.
public struct Model: Sendable, Equatable {
    public let name: String
    public let package: Hash
    public let manifest: Manifest
    public let addedAtMilliseconds: Int64
    public let files: [HubState.File]
    public let current: Version
}

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
