// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import WorkerStore

extension HubLink {
    enum FetchFailure: Error, CustomStringConvertible {
        case wrongContent(String)
        case otherPackage(name: String)

        var description: String {
            switch self {
            case .wrongContent(let name):
                "\(name) from the hub has not the content its hash promises; it is fetched again"
            case .otherPackage(let name): "the files of model \(name) from the hub are not the package it names"
            }
        }
    }

    /// Fetches what is missing of a model that the hub offers, and hands a new version to the guard.
    func take(_ model: HubState.Model, _ connection: HubConnection) throws {
        let version = model.version
        let package = try store.read { try $0.package(version.package) }
        if package == nil {
            log.info("fetching model \(model.name) from the hub")
            let folder = try fetchPackage(model, connection)
            defer { try? FileManager.default.removeItem(at: folder) }
            let fetched = try ModelPackage(directory: folder)
            guard fetched.hash == version.package else { throw FetchFailure.otherPackage(name: model.name) }
            try fetchParameters(version, model.parametersBytes, own: fetched, connection)
            try shelf.install(fetched, round: model.roundsClosed, version: version)
            board.versionsChanged()
            return
        }
        // Another package of the same name has taken its place at this site.
        guard package?.isActive == true else { return }
        // A round starts from these parameters whatever the guard says about them.
        try fetchParameters(version, model.parametersBytes, own: nil, connection)
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
                "version \(version.id.short) of \(model.name) has come from the hub (after \(model.roundsClosed) rounds)"
            )
            room.ring()
        } else if named != version.id {
            try store.write { try $0.noteHubVersion(version) }
        }
    }

    private func fetchPackage(_ model: HubState.Model, _ connection: HubConnection) throws -> URL {
        let folder = store.incoming.appending(
            path: "package-\(model.version.package.hex)", directoryHint: .isDirectory)
        try? FileManager.default.removeItem(at: folder)
        for file in model.files {
            // Checked by the message decoder too; a path decides where we write.
            guard ModelPackage.isSafe(path: file.path) else { throw FetchFailure.otherPackage(name: model.name) }
            let target = folder.appending(path: file.path)
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            let fetched = try fetch(file.hash, bytes: file.bytes, connection)
            try FileManager.default.copyItem(at: fetched, to: target)
        }
        for file in model.files { try? FileManager.default.removeItem(at: incomingFile(file.hash)) }
        return folder
    }

    private func fetchParameters(
        _ version: ModelVersion, _ bytes: Int, own package: ModelPackage?, _ connection: HubConnection
    ) throws {
        let target = shelf.parametersFile(version.parameters)
        if FileManager.default.fileExists(atPath: target.path) { return }
        if let package, package.version == version {
            try FileManager.default.copyItem(at: package.parametersFile, to: target)
            return
        }
        let fetched = try fetch(version.parameters, bytes: bytes, connection)
        try FileManager.default.moveItem(at: fetched, to: target)
    }

    private func incomingFile(_ hash: Hash) -> URL { store.incoming.appending(path: "\(hash.hex).part") }

    /// Fetches a file in pieces, going on where an earlier attempt ended, and checks its hash.
    private func fetch(_ hash: Hash, bytes: Int, _ connection: HubConnection) throws -> URL {
        let file = incomingFile(hash)
        if !FileManager.default.fileExists(atPath: file.path) { try Data().write(to: file) }
        let handle = try FileHandle(forUpdating: file)
        defer { try? handle.close() }
        var offset = Int(try handle.seekToEnd())
        while offset < bytes {
            let length = min(FederationLimits.pieceBytes, bytes - offset)
            let answer = try ask(.fetch(hash: hash, offset: offset, length: length), connection)
            guard case .piece(hash, offset, let piece) = answer, !piece.isEmpty, piece.count <= length else {
                throw FetchFailure.wrongContent("file \(hash.short)")
            }
            try handle.write(contentsOf: piece)
            offset += piece.count
        }
        try handle.synchronize()
        guard offset == bytes, try Hash(ofFile: file) == hash else {
            try? FileManager.default.removeItem(at: file)
            throw FetchFailure.wrongContent("file \(hash.short)")
        }
        return file
    }
}
