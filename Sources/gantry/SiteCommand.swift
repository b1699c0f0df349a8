// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Federation
import Foundation
import ZeroMQ

/// `gantry site`: what a hospital needs to take part in a federation.
struct SiteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site", abstract: "Keys: of this site for a federation hub, of gateways and workers for tcp.",
        subcommands: [KeygenCommand.self])

    /// `gantry site keygen`.
    struct KeygenCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "keygen", abstract: "Make a key pair: for this site at the hub, or for a gateway or a worker.",
            discussion: """
                Writes NAME.key (the secret key, readable by you only) and NAME.pub into DIR, and prints what to send
                to the operator of the hub. Existing files are never overwritten. Run it as the user that runs
                gantry-worker, and name NAME.key there: gantry-worker run --site-key DIR/NAME.key …

                Gateway and worker on different machines need a pair each, made with the same command: the worker
                runs with --endpoint tcp://HOST:PORT --key DIR/WORKER.key --gateway GATEWAY=GATEWAY.pub, and the
                gateway's section Gantry has "Workers": ["tcp://HOST:PORT"], "WorkerKey": "the text of WORKER.pub",
                "KeyFile": "DIR/GATEWAY.key", and "Name": "GATEWAY". A secret key file belongs to the user of its
                program.
                """)

        @Option(help: ArgumentHelp("Folder for the two files; made when it is missing.", valueName: "dir"))
        var out: String

        @Option(help: "The site's name at the hub: letters, digits, dots, dashes, underscores.")
        var name: String

        func run() throws {
            let keys = try CurveKeyPair.generate()
            let files = try CurveKeyFile.write(keys, name: name, to: URL(filePath: out, directoryHint: .isDirectory))
            print(
                """
                Secret key: \(files.secret.path)  (mode 0600; stays on this machine)
                Public key: \(files.public.path)

                Send the public key to the operator of the hub, who enrols this site with:

                    gantry-hub site add --state DIR --name \(name) --key '\(keys.publicKey)'

                Ask the operator for the hub's address and public key, and start the worker with:

                    gantry-worker run --hub tcp://HOST:PORT --hub-key 'KEY' --site-key \(files.secret.path) …
                """)
        }
    }
}
