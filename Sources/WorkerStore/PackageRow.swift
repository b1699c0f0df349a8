// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import ModelPackage

/// An installed model package.
public struct PackageRow: Sendable, Equatable {
    public var package: Hash
    public var name: String
    /// `configs/gantry.json` as JSON.
    public var manifest: String
    public var isActive: Bool
    public var installedAt: Int64

    public init(package: Hash, manifest: Manifest, isActive: Bool, installedAt: Int64) throws {
        self.package = package
        name = manifest.name
        self.manifest = String(decoding: try JSONEncoder().encode(manifest), as: UTF8.self)
        self.isActive = isActive
        self.installedAt = installedAt
    }

    init(_ row: Row) throws {
        guard let hash = Hash(hex: row["package"]) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "package is not a SHA-256")
        }
        package = hash
        name = row["name"]
        manifest = row["manifest"]
        isActive = row["active"]
        installedAt = row["installed_at_ms"]
    }

    public func decodedManifest() throws -> Manifest {
        try JSONDecoder().decode(Manifest.self, from: Data(manifest.utf8))
    }
}
