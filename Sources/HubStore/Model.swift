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
