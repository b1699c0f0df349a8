// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Synchronization
import Tensors
import Torch
import WorkerStore

/// Installed packages and parameters on disk, and which versions of them are live.
final class ModelShelf: Sendable {
    private let store: WorkerStore
    private let models: LiveModels
    private let log: Logger
    private let now: @Sendable () -> Int64
    private let onChange = Mutex<@Sendable ([LiveModel]) -> Void>({ _ in })

    init(store: WorkerStore, models: LiveModels, log: Logger, timepiece: Timepiece) {
        self.store = store
        self.models = models
        self.log = log
        now = timepiece.unix
    }

    func directory(_ package: Hash) -> URL { store.packages.appending(path: package.hex, directoryHint: .isDirectory) }
    func parametersFile(_ hash: Hash) -> URL { store.parametersFile(hash.hex) }

    /// What has to be known to score with a version; nil when its package is not installed.
    func model(_ row: VersionRow, _ transaction: WorkerTransaction) throws -> LiveModel? {
        guard let package = try transaction.package(row.version.package) else { return nil }
        var model = LiveModel(
            version: row.version, id: row.version.id, manifest: try package.decodedManifest(),
            modelFile: directory(row.version.package).appending(path: ModelPackage.modelPath),
            parametersFile: parametersFile(row.version.parameters), round: row.round, since: row.decidedAt)
        let points = try transaction.operatingPoints(row.version)
        for finding in model.manifest.findings {
            if let threshold = points[finding.name]?.threshold { model.use(threshold, for: finding.name, of: .site) }
        }
        return model
    }

    /// The versions that have begun to read a study.
    func models(readingStudy study: StudyKey, _ transaction: WorkerTransaction) throws -> [LiveModel] {
        try transaction.flags(study).compactMap { flag in
            guard let id = Hash(hex: flag.modelVersion), let row = try transaction.version(id) else { return nil }
            return try model(row, transaction)
        }
    }

    /// Takes over what the database says is live. Call after every change of versions and packages.
    func refresh() throws {
        let live = try store.read { transaction in
            try transaction.liveVersions().compactMap { try model($0, transaction) }
        }
        models.replace(with: live)
        onChange.withLock { $0 }(live)
    }

    /// - Parameter body: called now and after every refresh with what is live, on any thread.
    func whenLiveChanges(_ body: @escaping @Sendable ([LiveModel]) -> Void) {
        onChange.withLock { $0 = body }
        body(models.all)
    }

    /// Installs a package from a directory or zip of the administrator's and makes its own parameters live when the
    /// package has no live version yet. A package that is installed already is left as it is.
    ///
    /// - Throws: `ModelPackageError` and others whose text says what is wrong with the package.
    func install(from source: URL) throws {
        let scratch = store.incoming.appending(path: "package-\(UUID().uuidString)", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        let package = try ModelPackage.open(source, scratch: scratch)
        if try store.read({ try $0.package(package.hash) }) != nil { return }
        try install(package, round: 0, version: nil)
    }

    /// Copies a checked package into the state directory and adds its rows.
    ///
    /// - Parameter version: the version to go live if the package has none; nil takes the package's own parameters.
    func install(_ package: ModelPackage, round: Int, version: ModelVersion?) throws {
        let target = directory(package.hash)
        if !FileManager.default.fileExists(atPath: target.path) {
            let staging = store.incoming.appending(path: "staging-\(UUID().uuidString)", directoryHint: .isDirectory)
            defer { try? FileManager.default.removeItem(at: staging) }
            try FileManager.default.copyItem(at: package.directory, to: staging)
            try FileManager.default.moveItem(at: staging, to: target)
        }
        let version = try version ?? ownVersion(of: package)
        let at = now()
        let lost = try store.write { transaction in
            try transaction.install(
                PackageRow(package: package.hash, manifest: package.manifest, isActive: true, installedAt: at))
            guard try transaction.liveVersion(package: package.hash) == nil else { return [OperatingPointRow]() }
            try transaction.save(
                VersionRow(version: version, round: round, state: .live, decidedAt: at, isReportDue: true))
            try transaction.audit(
                "version-live",
                [
                    "package": package.hash.hex, "version": version.id.hex, "round": String(round),
                    "why": "first version of the package",
                ])
            return try transaction.loseOperatingPoints(ofOthersThan: version, at: at)
        }
        log.info("model \(package.manifest.name) installed, version \(version.id.short) is live")
        for point in lost { log.warnOfLost(point) }
        try refresh()
    }

    /// The version with the parameters inside the package; reads them from the model where the package lacks the file.
    private func ownVersion(of package: ModelPackage) throws -> ModelVersion {
        if let version = package.version {
            let target = parametersFile(version.parameters)
            if !FileManager.default.fileExists(atPath: target.path) {
                try FileManager.default.copyItem(at: package.parametersFile, to: target)
            }
            return version
        }
        let model = try TorchModel(package: package)
        let data = Safetensors.encode(try model.parameters())
        let hash = Hash(of: data)
        try data.write(to: parametersFile(hash), options: .atomic)
        return ModelVersion(package: package.hash, parameters: hash)
    }
}
