// SPDX-License-Identifier: GPL-3.0-or-later
import CArchive
import Foundation
import ModelPackage
import Testing

@Suite struct ModelPackageTests {
    /// A package that is complete but whose model is no model: this module does not run it.
    static func write(to directory: URL) throws {
        for folder in ["models", "configs"] {
            try FileManager.default.createDirectory(
                at: directory.appending(path: folder), withIntermediateDirectories: true)
        }
        try Data(ManifestTests.minimal.utf8).write(to: directory.appending(path: "configs/gantry.json"))
        try Data("model".utf8).write(to: directory.appending(path: "models/model.ts"))
        try Data("parameters".utf8).write(to: directory.appending(path: "models/parameters.safetensors"))
    }

    private static func sha256(_ text: String) -> String { Hash(of: Data(text.utf8)).hex }

    @Test func theHashIsTheOneThatIsDocumented() throws {
        try withTemporaryDirectory { directory in
            try Self.write(to: directory)
            let expected = Self.sha256(
                "configs/gantry.json\0\(Self.sha256(ManifestTests.minimal))\nmodels/model.ts\0\(Self.sha256("model"))\n"
                    + "models/parameters.safetensors\0\(Self.sha256("parameters"))\n")
            let package = try ModelPackage(directory: directory)
            #expect(package.hash.hex == expected)
            #expect(package.version?.package == package.hash)
            #expect(package.version?.parameters.hex == Self.sha256("parameters"))
        }
    }

    @Test func aChangedByteOrNameChangesTheHash() throws {
        try withTemporaryDirectory { directory in
            try Self.write(to: directory)
            let first = try ModelPackage(directory: directory).hash
            try Data("Model".utf8).write(to: directory.appending(path: "models/model.ts"))
            let second = try ModelPackage(directory: directory).hash
            try Data("model".utf8).write(to: directory.appending(path: "models/model.ts"))
            #expect(try ModelPackage(directory: directory).hash == first)
            try Data().write(to: directory.appending(path: "LICENSE"))
            let third = try ModelPackage(directory: directory).hash
            #expect(Set([first, second, third]).count == 3)
        }
    }

    @Test func aPackageWithoutParametersHasNoVersion() throws {
        try withTemporaryDirectory { directory in
            try Self.write(to: directory)
            try FileManager.default.removeItem(at: directory.appending(path: "models/parameters.safetensors"))
            #expect(try ModelPackage(directory: directory).version == nil)
        }
    }

    @Test(arguments: ["configs/gantry.json", "models/model.ts"])
    func aMissingFileIsNamed(path: String) throws {
        try withTemporaryDirectory { directory in
            try Self.write(to: directory)
            try FileManager.default.removeItem(at: directory.appending(path: path))
            do throws(ModelPackageError) {
                _ = try ModelPackage(directory: directory)
                Issue.record("accepted")
            } catch {
                #expect(error.description.contains("\(path) is missing"), "\(error)")
            }
        }
    }

    @Test func aLinkInADirectoryIsRefused() throws {
        try withTemporaryDirectory { directory in
            try Self.write(to: directory)
            try FileManager.default.createSymbolicLink(
                at: directory.appending(path: "models/extra"), withDestinationURL: URL(filePath: "/etc/hostname"))
            do throws(ModelPackageError) {
                _ = try ModelPackage(directory: directory)
                Issue.record("accepted")
            } catch {
                #expect(error.file == "models/extra")
            }
        }
    }

    @Test(arguments: ["", "bundle/"])
    func aZipGivesTheSamePackageAsItsDirectory(prefix: String) throws {
        try withTemporaryDirectory { directory in
            let source = directory.appending(path: "source")
            try Self.write(to: source)
            let package = try ModelPackage(directory: source)
            let zip = directory.appending(path: "packed.zip")
            try Zip.write(
                zip,
                package.files.map { file in
                    (.file, prefix + file.path, try Data(contentsOf: source.appending(path: file.path)))
                })
            let unpacked = try ModelPackage.open(zip, scratch: directory)
            #expect(unpacked.hash == package.hash)
            #expect(unpacked.directory.lastPathComponent == "packed")
        }
    }

    @Test(arguments: [
        (Zip.Kind.file, "../escaped", "would leave the package"),
        (.file, "models/../../escaped", "would leave the package"),
        (.file, "/tmp/gantry-escaped", "would leave the package"), (.link, "models/link", "link or device"),
    ])
    func aZipThatReachesOutIsRefusedAndLeavesNothing(kind: Zip.Kind, path: String, reason: String) throws {
        try withTemporaryDirectory { directory in
            let zip = directory.appending(path: "packed.zip")
            try Zip.write(
                zip,
                [
                    (.file, "configs/gantry.json", Data(ManifestTests.minimal.utf8)),
                    (.file, "models/model.ts", Data("model".utf8)), (kind, path, Data("/etc/hostname".utf8)),
                ])
            do throws(ModelPackageError) {
                _ = try ModelPackage.open(zip, scratch: directory)
                Issue.record("accepted")
            } catch {
                #expect(error.description.contains(reason), "\(error)")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["packed.zip"])
            #expect(!FileManager.default.fileExists(atPath: "/tmp/gantry-escaped"))
        }
    }

    @Test func aZipWithTooManyEntriesIsRefused() throws {
        try withTemporaryDirectory { directory in
            let zip = directory.appending(path: "packed.zip")
            try Zip.write(zip, (0...ModelPackage.fileLimit).map { (.file, "f\($0)", Data()) })
            #expect(throws: ModelPackageError.self) { try ModelPackage.open(zip, scratch: directory) }
        }
    }

    @Test func aDamagedZipIsAClearError() throws {
        try withTemporaryDirectory { directory in
            let zip = directory.appending(path: "packed.zip")
            try Data("PK no zip at all".utf8).write(to: zip)
            do throws(ModelPackageError) {
                _ = try ModelPackage.open(zip, scratch: directory)
                Issue.record("accepted")
            } catch {
                #expect(error.description.contains("not a readable zip"), "\(error)")
            }
        }
    }

    @Test(arguments: [
        ("models/model.ts", true), ("a", true), ("..", false), ("a/../b", false), ("/a", false), ("a//b", false),
        ("a/", false), ("", false), ("a\\b", false), ("a\u{0}b", false), ("./a", false), ("a..b/c", true),
    ])
    func onlyPathsThatStayInsideAreSafe(path: String, safe: Bool) {
        #expect(ModelPackage.isSafe(path: path) == safe)
    }
}

/// Zips as an attacker can make them.
enum Zip {
    enum Kind: Sendable { case file, link }

    static func write(_ url: URL, _ entries: [(kind: Kind, path: String, content: Data)]) throws {
        let archive = try #require(archive_write_new())
        defer { archive_write_free(archive) }
        archive_write_set_format_zip(archive)
        try #require(archive_write_open_filename(archive, url.path) == ARCHIVE_OK)
        for (kind, path, content) in entries {
            let entry = try #require(archive_entry_new())
            defer { archive_entry_free(entry) }
            archive_entry_set_pathname(entry, path)
            archive_entry_set_perm(entry, 0o644)
            switch kind {
            case .file:
                archive_entry_set_filetype(entry, 0o100000)
                archive_entry_set_size(entry, Int64(content.count))
            case .link:
                archive_entry_set_filetype(entry, 0o120000)
                archive_entry_set_symlink(entry, String(decoding: content, as: UTF8.self))
            }
            try #require(archive_write_header(archive, entry) == ARCHIVE_OK)
            if kind == .file { content.withUnsafeBytes { _ = archive_write_data(archive, $0.baseAddress, $0.count) } }
        }
        try #require(archive_write_close(archive) == ARCHIVE_OK)
    }
}
