// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import HubService

/// The command line of the hub's operator.
@main
struct GantryHub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gantry-hub", abstract: "The federation hub: sites train, the hub averages what they learned.",
        discussion: """
            First steps, on the machine of the hub:

                gantry-hub init --state /var/lib/gantry-hub --endpoint tcp://0.0.0.0:5790
                gantry-hub site add --state /var/lib/gantry-hub --name A --key A.pub
                gantry-hub model add --state /var/lib/gantry-hub PACKAGE_DIR
                gantry-hub run --state /var/lib/gantry-hub

            Sites and models can be added while the hub runs. No image and no patient data ever comes here.
            """,
        version: HubStatus.programVersion,
        subcommands: [
            InitCommand.self, RunCommand.self, StatusCommand.self, SiteCommand.self, ModelCommand.self,
        ])
}
