// SPDX-License-Identifier: GPL-3.0-or-later
import Crypto
import Foundation

/// A model package in a directory: TorchScript, manifest and parameters, addressed by the SHA-256 of its content.
///
/// A value of this type has been checked: the files that must be there are there and the manifest is valid. That the
/// model runs is for `gantry model check` to say.
public struct ModelPackage: Sendable {
    public let directory: URL
    public let manifest: Manifest
    /// Nil when the package has no `configs/metadata.json`.
    public let metadata: Metadata?
    /// Every file, sorted by path.
    public let files: [File]
    /// SHA-256 over `<path>\0<sha256 of the file>\n` for every file, sorted by path: independent of file times, owners and
    /// of whether the package came as a directory or as a zip.
    public let hash: Hash

    /// One regular file of a package.
    public struct File: Sendable, Equatable {
        /// Relative to the package, with `/`.
        public let path: String
        public let bytes: Int
        public let hash: Hash

        public init(path: String, bytes: Int, hash: Hash) {
            self.path = path
            self.bytes = bytes
            self.hash = hash
        }
    }

    public static let modelPath = "models/model.ts"
    public static let parametersPath = "models/parameters.safetensors"

    /// Most files that a package may have.
    public static let fileLimit = 1000
    /// Most bytes that all files of a package may have.
    public static let byteLimit = 8 << 30

    /// - Parameter directory: holds `configs/gantry.json` and `models/model.ts`.
    public init(directory: URL) throws(ModelPackageError) {
        self.directory = directory
        files = try Self.files(in: directory)
        for (path, meaning) in [
            (Manifest.path, "the manifest that says what the model takes and finds"),
            (Self.modelPath, "the TorchScript model"),
        ] where !files.contains(where: { $0.path == path }) {
            throw ModelPackageError(
                file: directory.path, problem: "\(path) is missing (\(meaning))",
                fix: "add it, or start from one made by “gantry model new”")
        }
        manifest = try Manifest.decode(Self.content(directory, Manifest.path))
        if files.contains(where: { $0.path == Metadata.path }) {
            metadata = try Manifest.decode(
                Metadata.self, from: Self.content(directory, Metadata.path), file: Metadata.path)
        } else {
            metadata = nil
        }
        hash = Self.hash(of: files)
    }

    public var modelFile: URL { directory.appending(path: Self.modelPath) }
    public var parametersFile: URL { directory.appending(path: Self.parametersPath) }

    /// The version with the package's own parameters; nil when it lacks `models/parameters.safetensors`
    /// (`gantry model prepare` writes it).
    public var version: ModelVersion? {
        files.first { $0.path == Self.parametersPath }.map { ModelVersion(package: hash, parameters: $0.hash) }
    }

    /// The content hash of a package with these files.
    public static func hash(of files: [File]) -> Hash {
        var text = Data()
        for file in files.sorted(by: { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }) {
            text.append(contentsOf: file.path.utf8)
            text.append(0)
            text.append(contentsOf: file.hash.hex.utf8)
            text.append(0x0A)
        }
        return Hash(of: text)
    }

    /// True for a relative path that stays inside the directory it is appended to.
    public static func isSafe(path: String) -> Bool {
        guard !path.isEmpty, path.utf8.count <= 255, !path.contains("\\") else { return false }
        guard path.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else { return false }
        return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0 != "." && $0 != ".."
        }
    }

    private static func content(_ directory: URL, _ path: String) throws(ModelPackageError) -> Data {
        do {
            return try Data(contentsOf: directory.appending(path: path))
        } catch {
            throw ModelPackageError(
                file: path, problem: "cannot be read: \(error.localizedDescription)", fix: "check its permissions")
        }
    }

    private static func files(in directory: URL) throws(ModelPackageError) -> [File] {
        let manager = FileManager.default
        var isDirectory: ObjCBool = false
        guard manager.fileExists(atPath: directory.path, isDirectory: &isDirectory), isDirectory.boolValue else {
            throw ModelPackageError(
                file: directory.path, problem: "there is no such directory",
                fix: "give the directory that holds configs/gantry.json")
        }
        guard let paths = manager.enumerator(atPath: directory.path) else {
            throw ModelPackageError(
                file: directory.path, problem: "the directory cannot be listed", fix: "check its permissions")
        }
        var files: [File] = []
        var total = 0
        for case let path as String in paths {
            let url = directory.appending(path: path)
            let attributes = try? manager.attributesOfItem(atPath: url.path)
            switch attributes?[.type] as? FileAttributeType {
            case .typeDirectory?: continue
            case .typeRegular?: break
            default:
                throw ModelPackageError(
                    file: path, problem: "not a regular file", fix: "replace links by the files they point to")
            }
            guard isSafe(path: path) else {
                throw ModelPackageError(file: path, problem: "a path that cannot travel", fix: "rename the file")
            }
            let bytes = attributes?[.size] as? Int ?? 0
            total += bytes
            guard files.count < fileLimit, total <= byteLimit else {
                throw ModelPackageError(
                    file: directory.path, problem: "more than \(fileLimit) files or \(byteLimit >> 30) GiB",
                    fix: "give the package's own directory")
            }
            do {
                files.append(File(path: path, bytes: bytes, hash: try Hash(ofFile: url)))
            } catch {
                throw ModelPackageError(
                    file: path, problem: "cannot be read: \(error.localizedDescription)", fix: "check its permissions")
            }
        }
        return files.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }
}
