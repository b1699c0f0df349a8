// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import WorkerStore
import ZeroMQ

extension HubLink {
    /// Bytes of `configs/gantry.json` and of `configs/metadata.json` that are fetched unasked, each.
    private static let documentBytes = 256 << 10
    /// Packages that are new here and are looked at in one turn.
    private static let newPackagesAtOnce = 4

    /// Goes through what the hub offers. What fails is noted and tried again after a pause that grows; the rest goes on.
    ///
    /// - Returns: what is wrong with what the hub offers; nil for nothing.
    /// - Throws: `HubConnection.Failure` and `ZeroMQError` when the hub cannot be spoken to.
    func take(_ models: [HubState.Model], _ pauses: inout DownloadPauses, _ connection: HubConnection) throws -> String?
    {
        pauses.keep(only: Set(models.map(\.version.package)))
        var problem: String?
        var isNew = 0
        for model in models {
            let package = model.version.package
            guard pauses.mayTry(package, at: timepiece.monotonic()) else { continue }
            do {
                if try store.read({ try $0.package(package) }) == nil {
                    isNew += 1
                    if isNew > Self.newPackagesAtOnce { continue }
                }
                try take(model, connection)
                pauses.succeeded(package)
                try note("", about: package)
            } catch HubConnection.Failure.stopped {
                throw HubConnection.Failure.stopped
            } catch HubConnection.Failure.noAnswer(let text) {
                throw HubConnection.Failure.noAnswer(text)
            } catch let error as ZeroMQError {
                throw error
            } catch {
                pauses.failed(package, at: timepiece.monotonic())
                problem = "\(error)"
                try note("\(error)", about: package)
                if pauses.mayComplain(at: timepiece.monotonic()) { log.warning("model \(model.name): \(error)") }
            }
        }
        return problem
    }

    private func note(_ problem: String, about package: Hash) throws {
        guard let offer = try store.read({ try $0.offer(package) }), offer.problem != problem else { return }
        // What an administrator has to know about a version that was refused stays until the next one is approved.
        if problem.isEmpty, try store.read({ try $0.package(package)?.isInstalled }) != true { return }
        try store.write { try $0.setProblem(problem, package: package) }
        board.versionsChanged()
    }

    private func take(_ model: HubState.Model, _ connection: HubConnection) throws {
        guard let row = try store.read({ try $0.package(model.version.package) }) else {
            return try note(model, connection)
        }
        try renew(model)
        switch row.state {
        case .approved: try install(row, model, connection)
        case .active: try takeVersion(model, row, connection)
        case .waiting, .denied, .disabled, .replaced, .unlisted: break
        }
    }

    // MARK: Offers

    /// Fetches what an administrator has to see of a package that is new here, and lets it wait for approval.
    private func note(_ model: HubState.Model, _ connection: HubConnection) throws {
        // The sum over the list is the package's hash, so the list is what is approved.
        guard ModelPackage.hash(of: model.files.map(ModelPackage.File.init)) == model.version.package else {
            throw FetchFailure.otherPackage(name: model.name)
        }
        guard let document = model.files.first(where: { $0.path == Manifest.path }),
            model.files.contains(where: { $0.path == ModelPackage.modelPath })
        else { throw FetchFailure.noManifest(name: model.name) }
        guard document.bytes <= Self.documentBytes else {
            throw FetchFailure.manifestTooLarge(name: model.name, bytes: document.bytes, limit: Self.documentBytes)
        }
        let at = timepiece.unix()
        guard try store.write({ try $0.makeRoomForOffer(at: at) }) else {
            throw FetchFailure.tooManyOffers(WorkerTransaction.mostPackagesWaiting)
        }
        try disk.keepReserve(roomFor: document.bytes, of: model.name)
        let file = try fetch(document.hash, bytes: document.bytes, of: model.name, connection)
        defer { try? FileManager.default.removeItem(at: file) }
        let manifest = try Manifest.decode(try Data(contentsOf: file))
        let row = try PackageRow(
            package: model.version.package, manifest: manifest, state: .waiting, origin: .hub, bytes: model.bytes,
            installedAt: at)
        let offer = offer(model, at: at)
        try store.write { try $0.add(row, offered: offer) }
        log.notice(
            """
            the hub offers model \(manifest.name) \(row.package.short) (\(model.bytes >> 20) MB); it waits for approval: \
            gantry model list, gantry model approve \(row.package.short)
            """)
        board.versionsChanged()
    }

    private func offer(_ model: HubState.Model, at: Int64) -> HubOffer {
        HubOffer(
            version: model.version, hub: endpoint, parametersBytes: model.parametersBytes, round: model.roundsClosed,
            sitesLive: model.sitesLive, sitesRefused: model.sitesRefused, offeredAt: at)
    }

    /// Notes what the hub offers now of a package that is known; once an hour also when nothing has changed.
    private func renew(_ model: HubState.Model) throws {
        let at = timepiece.unix()
        var known = try store.read { try $0.offer(model.version.package) }
        let now = offer(model, at: at)
        if var last = known, abs(at - last.offeredAt) < 3_600_000 {
            (last.offeredAt, last.approved, last.problem) = (now.offeredAt, now.approved, now.problem)
            known = last
        }
        if known != now { try store.write { try $0.save(now) } }
    }

    // MARK: Installing

    /// Fetches a package that was approved, tries the version that was approved with it, and makes it live.
    private func install(_ row: PackageRow, _ model: HubState.Model, _ connection: HubConnection) throws {
        guard let offer = try store.read({ try $0.offer(row.package) }), let approved = offer.approved else { return }
        let version = ModelVersion(package: row.package, parameters: approved)
        try disk.admit(model.bytes + model.parametersBytes, of: model.name)
        log.info("fetching model \(row.name) \(row.package.short) from the hub (\(model.bytes >> 20) MB)")
        let folder = try fetchPackage(model, connection)
        defer { try? FileManager.default.removeItem(at: folder) }
        let fetched = try ModelPackage(directory: folder)
        guard fetched.hash == row.package else { throw FetchFailure.otherPackage(name: model.name) }
        try fetchParameters(version, model, own: fetched, connection)
        try store.keep(fetched)
        do {
            try shelf.checkAnswers(of: version, fetched.manifest)
        } catch {
            try store.write { try $0.returnToWaiting(row, version: version, why: "\(error)") }
            log.error("model \(row.name) \(row.package.short), version \(version.id.short), is not taken: \(error)")
            board.versionsChanged()
            return
        }
        try shelf.activate(fetched, origin: .hub, version: version, round: offer.approvedRound)
        board.versionsChanged()
    }

    /// Fetches a new version of a package that is active, for the guard and for the rounds that start from it.
    private func takeVersion(_ model: HubState.Model, _ row: PackageRow, _ connection: HubConnection) throws {
        let version = model.version
        try fetchParameters(version, model, own: nil, connection)
        let (known, live, named) = try store.read {
            (
                try $0.version(version.id), try $0.liveVersion(package: version.package),
                try $0.hubVersion(package: version.package)
            )
        }
        // One that was live or judged here is tried again when the hub has gone back to it, and only then: this site may
        // have gone back by itself.
        let isBack = named != nil && named != version.id && live?.version != version
        if known == nil || isBack {
            try store.write {
                try $0.addCandidate(version, round: model.roundsClosed, at: timepiece.unix())
                try $0.noteHubVersion(version)
            }
            log.info(
                """
                version \(version.id.short) of \(row.name) has come from the hub (after \(model.roundsClosed) rounds)\
                \(row.isPinned ? "; it waits: \(row.name) is pinned" : "")
                """)
            room.ring()
        } else if named != version.id {
            try store.write { try $0.noteHubVersion(version) }
        }
    }

    private func fetchPackage(_ model: HubState.Model, _ connection: HubConnection) throws -> URL {
        let folder = incomingFolder(model.version.package)
        var placed: [Hash: URL] = [:]
        for file in model.files {
            // Checked by the message decoder too; a path decides where we write.
            guard ModelPackage.isSafe(path: file.path) else { throw FetchFailure.otherPackage(name: model.name) }
            let target = folder.appending(path: file.path)
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            if (try? Hash(ofFile: target)) == file.hash {
                // From an attempt that was interrupted.
                placed[file.hash] = target
                continue
            }
            try? FileManager.default.removeItem(at: target)
            if let same = placed[file.hash] {
                try FileManager.default.copyItem(at: same, to: target)
            } else {
                do {
                    let fetched = try fetch(file.hash, bytes: file.bytes, of: model.name, connection)
                    try FileManager.default.moveItem(at: fetched, to: target)
                } catch let failure as FetchFailure {
                    try? FileManager.default.removeItem(at: folder)
                    throw failure
                }
                placed[file.hash] = target
            }
        }
        return folder
    }

    private func fetchParameters(
        _ version: ModelVersion, _ model: HubState.Model, own package: ModelPackage?, _ connection: HubConnection
    ) throws {
        if store.hasParameters(version) { return }
        if let package, package.version == version { return try store.keepParameters(of: package, version) }
        let row = try store.read { try $0.package(version.package) }
        let live = try store.read { try $0.liveVersion(package: version.package) }
        if let live, let own = Self.bytes(of: shelf.parametersFile(live.version.parameters)) {
            // Every version of a model has the same tensors; names and order may differ.
            guard model.parametersBytes <= own + own / 8 + (1 << 20) else {
                throw FetchFailure.parametersTooLarge(name: model.name, bytes: model.parametersBytes, own: own)
            }
        }
        try disk.admit(model.parametersBytes, of: row?.name ?? model.name)
        let fetched = try fetch(version.parameters, bytes: model.parametersBytes, of: model.name, connection)
        try FileManager.default.moveItem(at: fetched, to: shelf.parametersFile(version.parameters))
    }

    private static func bytes(of file: URL) -> Int? {
        try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int
    }

    // MARK: Files

    private func incomingFile(_ hash: Hash) -> URL { store.incoming.appending(path: "\(hash.hex).part") }

    /// A package of which not all files are here.
    private func incomingFolder(_ package: Hash) -> URL {
        store.incoming.appending(path: "hub-\(package.hex)", directoryHint: .isDirectory)
    }

    /// Fetches a file in pieces, going on where an earlier attempt ended, and checks its hash.
    private func fetch(_ hash: Hash, bytes: Int, of name: String, _ connection: HubConnection) throws -> URL {
        let file = incomingFile(hash)
        if !FileManager.default.fileExists(atPath: file.path) { try Data().write(to: file) }
        let handle = try FileHandle(forUpdating: file)
        defer { try? handle.close() }
        var offset = Int(try handle.seekToEnd())
        while offset < bytes {
            let length = min(FederationLimits.pieceBytes, bytes - offset)
            do {
                // Others write to this disk too.
                try disk.keepReserve(roomFor: length, of: name)
                let answer = try ask(.fetch(hash: hash, offset: offset, length: length), connection)
                guard case .piece(hash, offset, let piece) = answer, !piece.isEmpty, piece.count <= length else {
                    throw FetchFailure.wrongContent("file \(hash.short)")
                }
                try handle.write(contentsOf: piece)
                offset += piece.count
            } catch let failure as FetchFailure {
                // Nobody knows whether it will ever be whole.
                try? FileManager.default.removeItem(at: file)
                throw failure
            }
        }
        try handle.synchronize()
        guard offset == bytes, try Hash(ofFile: file) == hash else {
            try? FileManager.default.removeItem(at: file)
            throw FetchFailure.wrongContent("file \(hash.short)")
        }
        return file
    }

    /// Removes what an earlier turn or process left in `incoming` and nobody will go on with.
    ///
    /// - Parameter models: what the hub offers now.
    func sweepIncoming(_ models: [HubState.Model]) throws {
        let packages = try store.read { try $0.packages() }
        let wanted = models.flatMap { model -> [Hash] in
            switch packages.first(where: { $0.package == model.version.package })?.state {
            case .approved?: model.files.map(\.hash) + [model.version.parameters]
            case .active?: [model.version.parameters]
            default: []
            }
        }
        let folders = packages.filter { $0.state == .approved }.map { incomingFolder($0.package).lastPathComponent }
        let names = Set(wanted.map { incomingFile($0).lastPathComponent } + folders)
        for name in try FileManager.default.contentsOfDirectory(atPath: store.incoming.path)
        where (name.hasSuffix(".part") || name.hasPrefix("hub-")) && !names.contains(name) {
            try? FileManager.default.removeItem(at: store.incoming.appending(path: name))
        }
    }
}

extension HubState.Model {
    /// Of the package's files.
    var bytes: Int { files.reduce(0) { $0 + $1.bytes } }
}

extension ModelPackage.File {
    init(_ file: HubState.File) { self.init(path: file.path, bytes: file.bytes, hash: file.hash) }
}
