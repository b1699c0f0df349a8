// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

extension WorkerStore {
    /// An installed package's folder.
    public func packageFolder(_ package: Hash) -> URL {
        packages.appending(path: package.hex, directoryHint: .isDirectory)
    }

    /// Whether a version's parameters are on disk.
    public func hasParameters(_ version: ModelVersion) -> Bool {
        FileManager.default.fileExists(atPath: parametersFile(version.parameters.hex).path)
    }

    /// Copies a checked package and its parameters into the state directory, where they belong to its owner.
    ///
    /// - Throws: what the file system says; nothing is left behind then.
    public func keep(_ package: ModelPackage) throws {
        let target = packageFolder(package.hash)
        if !FileManager.default.fileExists(atPath: target.path) {
            let staging = incoming.appending(path: "staging-\(UUID().uuidString)", directoryHint: .isDirectory)
            defer { try? FileManager.default.removeItem(at: staging) }
            try FileManager.default.copyItem(at: package.directory, to: staging)
            giveToOwner(staging)
            try FileManager.default.moveItem(at: staging, to: target)
        }
        guard let version = package.version else { return }
        try keepParameters(of: package, version)
    }

    /// Copies the parameters inside a package to where those of versions are.
    public func keepParameters(of package: ModelPackage, _ version: ModelVersion) throws {
        let target = parametersFile(version.parameters.hex)
        guard !FileManager.default.fileExists(atPath: target.path) else { return }
        let staging = incoming.appending(path: "staging-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: staging) }
        try FileManager.default.copyItem(at: package.parametersFile, to: staging)
        giveToOwner(staging)
        try FileManager.default.moveItem(at: staging, to: target)
    }

    /// What the superuser puts here has to be readable by the user that the worker runs as.
    private func giveToOwner(_ root: URL) {
        guard geteuid() == 0, let owner = try? FileManager.default.attributesOfItem(atPath: directory.path) else {
            return
        }
        let attributes = owner.filter { [.ownerAccountID, .groupOwnerAccountID].contains($0.key) }
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: root.path)) ?? []
        for path in [root.path] + paths.map({ root.appending(path: $0).path }) {
            try? FileManager.default.setAttributes(attributes, ofItemAtPath: path)
        }
    }

    /// Removes files and folders of the state directory; what is gone already is well.
    ///
    /// - Parameter paths: as `WorkerTransaction.remove` gives them.
    public func delete(_ paths: [String]) {
        for path in paths { try? FileManager.default.removeItem(at: directory.appending(path: path)) }
    }

    /// Removes what an interrupted download or installation has left. Call before the store is opened: the disk may be
    /// full of it.
    ///
    /// - Parameter parts: whether files go too whose download could go on.
    public static func sweepIncoming(in directory: URL, also parts: Bool) {
        let folder = directory.appending(path: "incoming")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names where parts || !(name.hasSuffix(".part") || name.hasPrefix("hub-")) {
            try? FileManager.default.removeItem(at: folder.appending(path: name))
        }
    }

    /// What came so lately may belong to a row that is not committed yet.
    private static let youngSeconds = 60

    /// Removes folders of packages that are not installed and parameters that no version needs.
    ///
    /// - Parameter needed: parameters that are needed beside those that the database names.
    /// - Returns: false when something was too young to be removed; call again later.
    @discardableResult
    public func sweepModels(needed: Set<Hash> = []) throws -> Bool {
        let (known, kept) = try read { transaction in
            (
                Set(try transaction.packages().filter(\.isInstalled).map(\.package.hex)),
                try transaction.parametersToKeep()
            )
        }
        let wanted = Set(kept.union(needed).map { parametersFile($0.hex).lastPathComponent })
        let folder = parametersFile("").deletingLastPathComponent()
        let arePackagesSwept = try sweep(packages, keeping: known)
        return try sweep(folder, keeping: wanted) && arePackagesSwept
    }

    private func sweep(_ folder: URL, keeping known: Set<String>) throws -> Bool {
        var isAll = true
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where !known.contains(name) {
            let path = folder.appending(path: name)
            var status = stat()
            // The time of the last change of the entry itself: a file that was moved here keeps the others.
            guard stat(path.path, &status) == 0 else { continue }
            if time(nil) - status.st_ctim.tv_sec < Self.youngSeconds {
                isAll = false
            } else {
                try? FileManager.default.removeItem(at: path)
            }
        }
        return isAll
    }

    /// Bytes of everything that hubs have brought: packages, parameters of all versions, and what is on its way.
    public func hubBytes() throws -> Int {
        let hubs = try read { try $0.packages() }.filter { $0.origin == .hub && $0.isInstalled }
        let folder = parametersFile("").deletingLastPathComponent()
        return hubs.reduce(0) { $0 + Self.bytes(in: packageFolder($1.package)) } + Self.bytes(in: folder)
            + Self.bytes(in: incoming)
    }

    private static func bytes(in folder: URL) -> Int {
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: folder.path)) ?? []
        return paths.reduce(0) { total, path in
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder.appending(path: path).path)
            guard attributes?[.type] as? FileAttributeType == .typeRegular else { return total }
            return total + (attributes?[.size] as? Int ?? 0)
        }
    }
}
