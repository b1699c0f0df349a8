// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// A copy of which packages are installed, what was decided about them and which versions are live, beside the database.
///
/// A fresh database is filled from it: else a site whose database was damaged would wait for an administrator to approve
/// once more what runs there. The files of the packages say the rest. See also `WorkerStore+OperatingPoints`.
extension WorkerStore {
    private struct Entry: Codable, Equatable {
        var package: Hash
        var state: String
        var origin: String
        var isPinned: Bool
        var live: ModelVersion?
        var round: Int
    }

    private var packagesFile: URL { directory.appending(path: "packages.json") }

    /// Brings the copy up to date. Call after decisions were committed.
    public func copyPackages() throws {
        let entries = try read { transaction in
            try transaction.packages().filter(\.isInstalled).map { row in
                let live = try transaction.liveVersion(package: row.package)
                return Entry(
                    package: row.package, state: row.state.rawValue, origin: row.origin.rawValue,
                    isPinned: row.isPinned, live: live?.version, round: live?.round ?? 0)
            }
        }
        let exists = FileManager.default.fileExists(atPath: packagesFile.path)
        if entries.isEmpty, !exists { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let data = try encoder.encode(entries)
        if exists, try Data(contentsOf: packagesFile) == data { return }
        try data.write(to: packagesFile, options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: packagesFile.path)
    }

    /// Fills a database that knows no package from the copy, as far as the files are here. Call before packages are
    /// installed or scored with.
    ///
    /// - Returns: how many packages came back.
    @discardableResult
    public func recoverPackages(at: Int64) throws -> Int {
        guard try read({ try $0.packages() }).isEmpty,
            let entries = try? JSONDecoder().decode([Entry].self, from: Data(contentsOf: packagesFile))
        else { return 0 }
        var count = 0
        for entry in entries {
            guard let state = PackageRow.State(rawValue: entry.state),
                let origin = PackageRow.Origin(rawValue: entry.origin), let live = entry.live,
                live.package == entry.package, hasParameters(live),
                let package = try? ModelPackage(directory: packageFolder(entry.package)),
                package.hash == entry.package
            else { continue }
            var row = try PackageRow(
                package: entry.package, manifest: package.manifest, state: state, origin: origin,
                bytes: package.files.reduce(0) { $0 + $1.bytes }, installedAt: at)
            row.isPinned = entry.isPinned
            let found = row
            try write { transaction in
                try transaction.add(found)
                try transaction.save(VersionRow(version: live, round: entry.round, state: .live, decidedAt: at))
                try transaction.audit(
                    "package-recovered",
                    [
                        "package": found.package.hex, "name": found.name, "state": found.state.rawValue,
                        "version": live.id.hex,
                    ])
            }
            count += 1
        }
        return count
    }
}
