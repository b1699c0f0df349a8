// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A copy of the site's decisions about thresholds, beside the database, which a database that lacks them is filled from.
///
/// Everything else that is lost with a database comes again (from the gateways, the settings, the hub), but nobody else
/// knows these decisions. The database alone is what counts while it is there, so that a threshold changes in the
/// transaction that says so; the file adds what the database does not have. Not used for this: the audit log, which is in
/// the same database.
extension WorkerStore {
    var operatingPointsFile: URL { directory.appending(path: "operating-points.json") }

    /// Adds the decisions that the copy holds and the database does not: it is a fresh one or was restored from a backup.
    /// Call before anything is flagged or decided. Sets a copy aside that cannot be read.
    ///
    /// - Returns: how many were added.
    /// - Throws: `OperatingPointsError`, when the copy cannot be read.
    @discardableResult
    public func recoverOperatingPoints() throws -> Int {
        guard FileManager.default.fileExists(atPath: operatingPointsFile.path) else { return 0 }
        let copied: [OperatingPointRow]
        do {
            copied = try JSONDecoder().decode([OperatingPointRow].self, from: Data(contentsOf: operatingPointsFile))
        } catch {
            let name = "\(operatingPointsFile.path).damaged-\(Int64(Date().timeIntervalSince1970 * 1000))"
            let isAside = rename(operatingPointsFile.path, name) == 0
            throw OperatingPointsError(path: isAside ? name : operatingPointsFile.path, reason: "\(error)")
        }
        let known = try read { try $0.operatingPoints() }
        if copied.allSatisfy(known.contains) { return 0 }
        return try write { transaction in
            let known = try transaction.operatingPoints()
            let missing = copied.filter { !known.contains($0) }
            for point in missing { try transaction.recover(point) }
            return missing.count
        }
    }

    /// Brings the copy up to date. Call after decisions were committed.
    public func copyOperatingPoints() throws {
        let points = try read { try $0.operatingPoints() }
        let exists = FileManager.default.fileExists(atPath: operatingPointsFile.path)
        if points.isEmpty, !exists { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let data = try encoder.encode(points)
        if exists, try Data(contentsOf: operatingPointsFile) == data { return }
        try data.write(to: operatingPointsFile, options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: operatingPointsFile.path)
    }
}
