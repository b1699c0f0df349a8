// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import ModelPackage

/// A model package that is installed at this site, or that a hub offers to it. Known by its content hash alone: names can
/// be alike.
public struct PackageRow: Sendable, Equatable {
    public var package: Hash
    public var name: String
    /// `configs/gantry.json` as JSON.
    public var manifest: String
    public var state: State
    public var origin: Origin
    /// Its live version stays until it is unpinned.
    public var isPinned: Bool
    /// Of its files; 0 for one that was installed before sizes were noted.
    public var bytes: Int
    public var installedAt: Int64

    public enum State: String, Sendable, CaseIterable {
        /// A hub offers it; nothing but its manifest is here.
        case waiting
        /// An administrator wants it; its files are on their way.
        case approved
        /// An administrator does not want it.
        case denied
        /// Its live version scores studies, and it trains.
        case active
        /// An administrator has stopped it.
        case disabled
        /// Another package of the same name took its place.
        case replaced
        /// The settings named it and no longer do.
        case unlisted
    }

    public enum Origin: String, Sendable {
        /// Named in the worker's settings or on its command line.
        case settings
        /// `gantry model install`
        case command
        case hub
    }

    public var isActive: Bool { state == .active }

    /// Whether its files are here.
    public var isInstalled: Bool {
        switch state {
        case .waiting, .approved, .denied: false
        case .active, .disabled, .replaced, .unlisted: true
        }
    }

    public init(
        package: Hash, manifest: Manifest, state: State = .active, origin: Origin = .settings, bytes: Int = 0,
        installedAt: Int64
    ) throws {
        self.package = package
        name = manifest.name
        self.manifest = String(decoding: try JSONEncoder().encode(manifest), as: UTF8.self)
        self.state = state
        self.origin = origin
        isPinned = false
        self.bytes = bytes
        self.installedAt = installedAt
    }

    init(_ row: Row) throws {
        guard let hash = Hash(hex: row["package"]), let state = State(rawValue: row["state"]),
            let origin = Origin(rawValue: row["origin"])
        else {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT, message: "a package's hash, state or origin is not one that is known")
        }
        package = hash
        name = row["name"]
        manifest = row["manifest"]
        self.state = state
        self.origin = origin
        isPinned = row["pinned"]
        bytes = row["bytes"]
        installedAt = row["installed_at_ms"]
    }

    public func decodedManifest() throws -> Manifest {
        try JSONDecoder().decode(Manifest.self, from: Data(manifest.utf8))
    }
}
