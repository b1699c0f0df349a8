// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Federation
import Foundation
import HubService
import HubStore
import ZeroMQ

/// `gantry-hub init`.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make the state of a new hub and its keys.",
        discussion: """
            Prints the public key that every site needs (gantry-worker run --hub-key). An existing state is never
            touched.
            """)

    @OptionGroup var state: StateOption

    @Option(help: "Where sites connect: tcp://ADDRESS:PORT. Use tcp://0.0.0.0:5790 for sites on other machines.")
    var endpoint = "tcp://127.0.0.1:5790"

    @Option(help: "Where the status page is, HOST:PORT. It has no users of its own: keep it local or behind a proxy.")
    var http = HTTPAddress.standard

    func validate() throws {
        guard endpoint.hasPrefix("tcp://") else { throw ValidationError("the endpoint must begin with tcp://") }
    }

    func run() throws {
        let store = try HubStore.create(in: state.directory)
        let keys = try CurveKeyPair.generate()
        try CurveKeyFile.write(keys, name: StateOption.keyName, to: state.directory)
        try store.set(endpoint, for: StateOption.endpointSetting)
        try store.set(http, for: StateOption.httpSetting)
        try store.audit("hub-initialised", ["public_key": keys.publicKey], atMilliseconds: wallClock())
        print(
            """
            State:       \(state.directory.path)
            Endpoint:    \(endpoint)
            Status page: http://\(http)/
            Public key:  \(keys.publicKey)

            Next: gantry-hub site add, gantry-hub model add, gantry-hub run.
            """)
    }
}
