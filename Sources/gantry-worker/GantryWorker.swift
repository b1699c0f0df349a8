// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser

/// `gantry-worker`: everything that looks at pixels or gradients.
@main
struct GantryWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gantry-worker",
        abstract: "Flags studies that a gateway hands over, learns from labels, takes part in federated rounds.",
        version: "0.1.0", subcommands: [RunCommand.self], defaultSubcommand: RunCommand.self)
}
