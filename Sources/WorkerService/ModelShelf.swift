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
    /// Where the models of its packages run.
    let sandbox: ModelSandbox
    private let store: WorkerStore
    private let models: LiveModels
    private let log: Logger
    private let now: @Sendable () -> Int64
    private let onChange = Mutex<@Sendable ([LiveModel]) -> Void>({ _ in })

    init(
        store: WorkerStore, models: LiveModels, sandbox: ModelSandbox = .standard, log: Logger, timepiece: Timepiece
    ) {
        self.sandbox = sandbox
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

    /// No version of a package runs any more, until the worker starts again or an administrator enables it.
    ///
    /// - Parameter name: of the package.
    func setAside(_ package: Hash, name: String, because reason: String) {
        guard models.setAside(package, because: reason) else { return }
        log.error("model \(name) (package \(package.short)) is set aside: \(reason)")
        do {
            try store.write {
                try $0.audit("model-set-aside", ["package": package.hex, "model": name, "why": reason])
            }
        } catch {
            log.error("that a model was set aside cannot be noted in the audit log: \(error)")
        }
    }

    func reasonSetAside(_ package: Hash) -> String? { models.reasonSetAside(package) }

    /// - Parameter body: called now and after every refresh with what is live, on any thread.
    func whenLiveChanges(_ body: @escaping @Sendable ([LiveModel]) -> Void) {
        onChange.withLock { $0 = body }
        body(models.all)
    }

    /// Installs the packages that the settings name and makes them active, also in the place of one of the same name
    /// that came from a hub. Packages that earlier settings named and these do not stop.
    ///
    /// - Parameter sources: directories or zips of the administrator's; nil when the settings say nothing.
    /// - Throws: `ModelPackageError` and others whose text says what is wrong with a package.
    func installNamed(_ sources: [URL]?) throws {
        guard let sources else { return }
        let named = Set(try sources.map { try install(from: $0) })
        for row in try store.write({ try $0.unlist(allBut: named) }) {
            log.notice("model \(row.name) \(row.package.short) stops: the settings no longer name it")
        }
        try refresh()
    }

    /// Installs one package that the settings name. One that is disabled stays so.
    ///
    /// - Returns: its hash.
    @discardableResult
    func install(from source: URL) throws -> Hash {
        let scratch = store.incoming.appending(path: "package-\(UUID().uuidString)", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        let package = try ModelPackage.open(source, scratch: scratch)
        let known = try store.read { try $0.package(package.hash) }
        if known?.state == .disabled {
            log.notice(
                "model \(package.manifest.name) \(package.hash.short) is disabled, though the settings name it: gantry model enable"
            )
            return package.hash
        }
        if let known, known.isActive, known.origin == .settings { return package.hash }
        try store.keep(package)
        try activate(package, origin: .settings, version: try ownVersion(of: package))
        return package.hash
    }

    /// Makes a package active whose files are in the state directory. One of a hub has to be approved still.
    ///
    /// - Parameters:
    ///   - version: goes live when the package has no live one.
    ///   - round: closed rounds that led to it.
    func activate(
        _ package: ModelPackage, origin: PackageRow.Origin, version: ModelVersion, round: Int = 0
    ) throws {
        let at = now()
        let bytes = package.files.reduce(0) { $0 + $1.bytes }
        let lost: [OperatingPointRow]? = try store.write { transaction in
            if origin == .hub, try transaction.package(package.hash)?.state != .approved { return nil }
            try transaction.install(
                PackageRow(
                    package: package.hash, manifest: package.manifest, origin: origin, bytes: bytes, installedAt: at))
            guard try transaction.liveVersion(package: package.hash) == nil else { return [] }
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
        guard let lost else { return }
        log.info("model \(package.manifest.name) \(package.hash.short) installed, version \(version.id.short) is live")
        for point in lost { log.warnOfLost(point) }
        try refresh()
    }

    /// The version with the parameters inside the package; reads them from the model where the package lacks the file.
    private func ownVersion(of package: ModelPackage) throws -> ModelVersion {
        if let version = package.version { return version }
        let model = try TorchModel(package: package, in: sandbox)
        let data = Safetensors.encode(try model.parameters())
        let hash = Hash(of: data)
        try data.write(to: parametersFile(hash), options: .atomic)
        return ModelVersion(package: package.hash, parameters: hash)
    }
}
