// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage

/// `gantry model`: make, look at and try model packages.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Make, look at and try model packages; decide what runs at a site, and from when on it flags.",
        discussion: """
            A package is a directory (or one zip of it):
              models/model.ts                  TorchScript, as torch.jit.save writes it
              models/parameters.safetensors    the parameters it starts with (gantry model prepare)
              configs/gantry.json              what it takes, what it finds, how it learns
              configs/metadata.json            what a MONAI bundle says about itself

            What a hub offers waits until it is approved. A worker that runs follows each decision within seconds.
            """,
        subcommands: [
            New.self, Inspect.self, Check.self, Prepare.self, List.self, Install.self, Approve.self, Deny.self,
            Disable.self, Enable.self, Remove.self, Rollback.self, Pin.self, Unpin.self, Calibrate.self, Status.self,
        ])

    /// The package that a subcommand works on.
    struct Source: ParsableArguments {
        @Argument(help: "The package: its directory or its zip.", completion: .file())
        var package: String

        /// Calls `body` with the package; a zip is unpacked to a temporary directory for that time.
        func open<Result>(_ body: (ModelPackage) throws -> Result) throws -> Result {
            let scratch = FileManager.default.temporaryDirectory.appending(path: "gantry-model-\(UUID())")
            try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: scratch) }
            return try body(ModelPackage.open(URL(filePath: package), scratch: scratch))
        }
    }
}
