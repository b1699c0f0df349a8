// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import Torch

extension ModelCommand {
    /// `gantry model prepare`.
    struct Prepare: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Complete a package that was exported by PyTorch.",
            discussion: """
                Reads the parameters out of models/model.ts and writes them to models/parameters.safetensors, which is what
                training starts from and what deltas are added to. The package's hash changes with it, so do it before
                handing the package to workers or a hub.
                """)

        @Argument(help: "The package's directory.", completion: .directory)
        var directory: String

        func run() throws {
            let package = try PackageWriter.prepare(URL(filePath: directory))
            print("\(directory): package \(package.hash.short), version \(package.version?.id.short ?? "none")")
            print("next: gantry model check \(directory)")
        }
    }
}
