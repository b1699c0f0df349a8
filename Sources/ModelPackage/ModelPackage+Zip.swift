// SPDX-License-Identifier: GPL-3.0-or-later
import CArchive
import Foundation

extension ModelPackage {
    /// Loads a package from a directory, or from one zip, which is unpacked to `scratch/<name of the zip>` first.
    ///
    /// - Parameter scratch: an existing directory of the caller's; what was unpacked there before under the same name is
    ///   replaced.
    public static func open(_ url: URL, scratch: URL) throws(ModelPackageError) -> ModelPackage {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
            throw ModelPackageError(
                file: url.path, problem: "there is no such file or directory",
                fix: "give a package's directory or its zip")
        }
        if isDirectory.boolValue { return try ModelPackage(directory: url) }
        let target = scratch.appending(path: url.deletingPathExtension().lastPathComponent)
        try? FileManager.default.removeItem(at: target)
        return try unpack(url, into: target)
    }

    /// Unpacks a zip into a new directory and loads it. A single folder around the package, as MONAI bundles have it, is
    /// stripped.
    ///
    /// Entries are hostile input: absolute paths, `..`, links and devices are refused, and so is more than `fileLimit`
    /// entries or `byteLimit` unpacked bytes. Nothing is left behind on failure.
    ///
    /// - Parameter directory: must not exist.
    public static func unpack(_ zip: URL, into directory: URL) throws(ModelPackageError) -> ModelPackage {
        let manager = FileManager.default
        let staging = directory.deletingLastPathComponent().appending(path: ".\(directory.lastPathComponent)-\(UUID())")
        defer { try? manager.removeItem(at: staging) }
        do {
            try manager.createDirectory(at: staging, withIntermediateDirectories: true)
        } catch {
            throw ModelPackageError(
                file: staging.path, problem: "cannot be made: \(error.localizedDescription)", fix: "check the directory"
            )
        }
        try extract(zip, to: staging)
        let root = packageRoot(in: staging)
        _ = try ModelPackage(directory: root)
        do {
            try manager.moveItem(at: root, to: directory)
        } catch {
            throw ModelPackageError(
                file: directory.path, problem: "cannot be made: \(error.localizedDescription)",
                fix: "check the directory")
        }
        return try ModelPackage(directory: directory)
    }

    private static func packageRoot(in staging: URL) -> URL {
        let manager = FileManager.default
        let names = (try? manager.contentsOfDirectory(atPath: staging.path)) ?? []
        guard names.count == 1, let only = names.first else { return staging }
        let inner = staging.appending(path: only)
        return manager.fileExists(atPath: inner.appending(path: Manifest.path).path) ? inner : staging
    }

    private static func extract(_ zip: URL, to root: URL) throws(ModelPackageError) {
        guard let archive = archive_read_new() else {
            throw ModelPackageError(file: zip.path, problem: "out of memory", fix: "free some memory")
        }
        defer { archive_read_free(archive) }
        archive_read_support_format_zip(archive)
        func broken(_ fallback: String) -> ModelPackageError {
            let text = archive_error_string(archive).map { String(cString: $0) } ?? fallback
            return ModelPackageError(
                file: zip.path, problem: "not a readable zip: \(text)", fix: "pack the package's directory again")
        }
        guard archive_read_open_filename(archive, zip.path, 1 << 16) == ARCHIVE_OK else {
            throw broken("cannot be opened")
        }
        var entries = 0
        var total = 0
        while true {
            var entry: OpaquePointer?
            let status = archive_read_next_header(archive, &entry)
            if status == ARCHIVE_EOF { break }
            guard status == ARCHIVE_OK || status == ARCHIVE_WARN, let entry else { throw broken("bad entry") }
            guard let raw = archive_entry_pathname_utf8(entry) ?? archive_entry_pathname(entry) else {
                throw ModelPackageError(file: zip.path, problem: "an entry has no name", fix: "pack it again")
            }
            let path = String(cString: raw)
            entries += 1
            guard entries <= fileLimit else {
                throw ModelPackageError(
                    file: zip.path, problem: "more than \(fileLimit) entries", fix: "pack only the package's directory")
            }
            // AE_IFMT, AE_IFDIR and AE_IFREG of archive_entry.h, whose casts Swift does not import.
            let type = UInt32(archive_entry_filetype(entry)) & 0o170000
            let isDirectory = type == 0o040000
            let name = isDirectory && path.hasSuffix("/") ? String(path.dropLast()) : path
            guard isSafe(path: name) else {
                throw ModelPackageError(
                    file: zip.path, problem: "the entry “\(path.prefix(120))” would leave the package",
                    fix: "do not use this file; ask its author for a clean one")
            }
            if isDirectory { continue }
            guard type == 0o100000 else {
                throw ModelPackageError(
                    file: zip.path, problem: "the entry “\(path.prefix(120))” is a link or device",
                    fix: "pack the package with its files instead of links")
            }
            total = try write(archive, to: root.appending(path: name), total: total, zip: zip, broken: broken)
        }
    }

    private static func write(
        _ archive: OpaquePointer, to url: URL, total: Int, zip: URL, broken: (String) -> ModelPackageError
    ) throws(ModelPackageError) -> Int {
        func disk(_ error: any Error) -> ModelPackageError {
            ModelPackageError(
                file: url.path, problem: "cannot be written: \(error.localizedDescription)",
                fix: "check the disk and the directory")
        }
        let file: FileHandle
        do {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data().write(to: url, options: .withoutOverwriting)
            file = try FileHandle(forWritingTo: url)
        } catch {
            throw disk(error)
        }
        defer { try? file.close() }
        var total = total
        var piece = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = archive_read_data(archive, &piece, piece.count)
            if count == 0 { return total }
            guard count > 0 else { throw broken("damaged data") }
            total += count
            guard total <= byteLimit else {
                throw ModelPackageError(
                    file: zip.path, problem: "it unpacks to more than \(byteLimit >> 30) GiB",
                    fix: "do not use this file; ask its author for a clean one")
            }
            do {
                try file.write(contentsOf: piece[..<count])
            } catch {
                throw disk(error)
            }
        }
    }
}
