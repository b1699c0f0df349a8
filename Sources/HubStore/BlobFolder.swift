// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// A folder of files named by the SHA-256 of their content. A file under its name is whole and on disk.
public struct BlobFolder: Sendable {
    public let directory: URL

    init(_ directory: URL) throws {
        self.directory = directory
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    public func file(_ hash: Hash) -> URL { directory.appending(path: hash.hex) }

    public func contains(_ hash: Hash) -> Bool { FileManager.default.fileExists(atPath: file(hash).path) }

    /// Copies a file in, piece by piece.
    ///
    /// - Throws: `HubStoreError.wrongFile` when its content does not have the hash.
    func copy(_ source: URL, as hash: Hash) throws {
        if contains(hash) { return }
        let temporary = directory.appending(path: "\(hash.hex).partial")
        try Data().write(to: temporary)
        let input = try FileHandle(forReadingFrom: source)
        defer { try? input.close() }
        let output = try FileHandle(forWritingTo: temporary)
        while let piece = try input.read(upToCount: 1 << 20), !piece.isEmpty { try output.write(contentsOf: piece) }
        try output.synchronize()
        try output.close()
        let found = try Hash(ofFile: temporary)
        guard found == hash else {
            try FileManager.default.removeItem(at: temporary)
            throw HubStoreError.wrongFile(path: source.path, expected: hash.short, found: found.short)
        }
        try adopt(temporary, as: hash)
    }

    /// Moves a file in whose content is on disk and known to have the hash.
    public func adopt(_ source: URL, as hash: Hash) throws {
        try moveDurably(source, to: file(hash))
    }

    /// A piece of a file; shorter at its end.
    ///
    /// - Throws: `HubStoreError.missingFile`.
    public func read(_ hash: Hash, offset: Int, length: Int) throws -> Data {
        guard let handle = try? FileHandle(forReadingFrom: file(hash)) else {
            throw HubStoreError.missingFile(file(hash).path)
        }
        defer { try? handle.close() }
        try handle.seek(toOffset: UInt64(offset))
        return try handle.read(upToCount: length) ?? Data()
    }

    /// Deletes every file but those named.
    func keepOnly(_ hashes: Set<String>) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) where !hashes.contains(name) {
            try FileManager.default.removeItem(at: directory.appending(path: name))
        }
    }
}

/// Renames and puts the new directory entry on disk.
func moveDurably(_ source: URL, to target: URL) throws {
    guard rename(source.path, target.path) == 0 else {
        throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
    let folder = open(target.deletingLastPathComponent().path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folder >= 0 {
        fsync(folder)
        close(folder)
    }
}
