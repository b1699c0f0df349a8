// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Federation
import Foundation
import HubService
import HubStore
import Rounds
import ZeroMQ

/// The folder with everything a hub knows, and what is read from it in every command.
struct StateOption: ParsableArguments {
    @Option(help: ArgumentHelp("Folder with the hub's state.", valueName: "dir"))
    var state: String

    /// Name of the key files in the folder: `hub.key` and `hub.pub`.
    static let keyName = "hub"
    static let endpointSetting = "endpoint"
    static let httpSetting = "http"
    static let roundsSetting = "rounds"

    var directory: URL { URL(filePath: state, directoryHint: .isDirectory) }

    func open() throws -> HubStore { try HubStore(directory: directory) }

    /// What the running hub asks of a round.
    func quorum(_ store: HubStore) throws -> Int {
        (try store.setting(Self.roundsSetting, as: RoundSettings.self) ?? RoundSettings()).quorum
    }

    func keys() throws -> CurveKeyPair {
        try CurveKeyFile.readSecret(path: directory.appending(path: "\(Self.keyName).key").path)
    }

    func publicKey() throws -> String {
        try CurveKeyFile.publicKey(directory.appending(path: "\(Self.keyName).pub").path)
    }
}
