// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Federation
import Foundation
import HubService
import HubStore
import ZeroMQ

/// `gantry-hub site`.
struct SiteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site", abstract: "Enrol, list and cut off sites; also while the hub runs.",
        subcommands: [AddCommand.self, ListCommand.self, RevokeCommand.self])

    /// `gantry-hub site add`.
    struct AddCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Enrol a site by its public key.",
            discussion: """
                The site makes its key with: gantry site keygen --out DIR --name NAME, and sends you NAME.pub. Ask on
                another way (telephone) whether the key is theirs.
                """)

        @OptionGroup var state: StateOption

        @Option(help: "Name of the site: letters, digits, dots, dashes, underscores.")
        var name: String

        // A key may begin with a dash.
        @Option(
            parsing: .unconditional, help: "The site's public key, 40 characters of Z85, or the path of its .pub file.")
        var key: String

        func run() throws {
            try state.open().addSite(
                name: name, publicKey: CurveKeyFile.publicKey(key), atMilliseconds: wallClock())
            print("Site \(name) is enrolled and may connect now.")
        }
    }

    /// `gantry-hub site list`.
    struct ListCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Show the sites.")

        @OptionGroup var state: StateOption

        func run() throws {
            let now = wallClock()
            let sites = try state.open().sites()
            if sites.isEmpty {
                print("No site is enrolled. Run: gantry-hub site add --state \(state.state) --name NAME --key KEY")
                return
            }
            TextTable(
                ["SITE", "STATE", "LAST SEEN", "PUBLIC KEY"],
                sites.map { site in
                    [
                        site.name, site.isRevoked ? "revoked" : "enrolled",
                        site.lastSeenMilliseconds.map { TextTable.ago($0, now) } ?? "never", site.publicKey,
                    ]
                }
            ).write()
        }
    }

    /// `gantry-hub site revoke`.
    struct RevokeCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Cut a site off at once.",
            discussion: """
                Its key is refused from now on, and what it gave to a round that is still open does not count. To let
                it in again, enrol it with a new key.
                """)

        @OptionGroup var state: StateOption

        @Option(help: "Name of the site.")
        var name: String

        func run() throws {
            try state.open().revokeSite(name: name, atMilliseconds: wallClock())
            print("Site \(name) is cut off.")
        }
    }
}
