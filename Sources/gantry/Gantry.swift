// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser

/// The administrator's command line.
@main
struct Gantry: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gantry", abstract: "A learning radiology assistant inside the PACS gateway.",
        discussion: """
            The assistant itself is libgantry.so in the gateway, gantry-worker beside it, and gantry-hub for the hospitals
            that learn together. This command makes and checks what they need.
            """,
        subcommands: [
            ModelCommand.self, PhantomCommand.self, LabelsCommand.self, SiteCommand.self, AuditCommand.self,
            BenchCommand.self,
        ])
}
