// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Federation
import Foundation
import HubService
import HubStore
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

    func keys() throws -> CurveKeyPair {
        try CurveKeyFile.readSecret(directory.appending(path: "\(Self.keyName).key"))
    }

    func publicKey() throws -> String {
        try CurveKeyFile.publicKey(directory.appending(path: "\(Self.keyName).pub").path)
    }
}

/// `HOST:PORT` of the status page.
struct HTTPAddress: ExpressibleByArgument, Codable, Equatable, CustomStringConvertible {
    let host: String
    let port: Int

    static let standard = HTTPAddress(host: "127.0.0.1", port: 8790)

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), colon > argument.startIndex,
            let port = Int(argument[argument.index(after: colon)...]), (0...65535).contains(port)
        else { return nil }
        // An IPv6 address is written in brackets, as in a URL.
        host = String(argument[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
        self.port = port
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
