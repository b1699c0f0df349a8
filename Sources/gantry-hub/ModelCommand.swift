// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import HubService
import HubStore
import ModelPackage
import Torch

/// `gantry-hub model`.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Add and list models, go back to an older version; also while the hub runs.",
        subcommands: [AddCommand.self, ListCommand.self, VersionsCommand.self, RollbackCommand.self])

    /// `gantry-hub model add`.
    struct AddCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Take a model package in and offer it to all sites.",
            discussion: """
                The package needs \(ModelPackage.parametersPath), the parameters that the first round starts from;
                gantry model new writes it, and gantry model prepare adds it to a package from PyTorch. The model is
                tried as gantry model check does, without training, in a process of its own that reaches nothing
                (gantry-model, installed beside gantry-hub); the hub itself never runs a model.
                """)

        @OptionGroup var state: StateOption

        @Argument(help: ArgumentHelp("Folder of the model package.", valueName: "package-dir"))
        var package: String

        func run() throws {
            let store = try state.open()
            let package = try ModelPackage(directory: URL(filePath: package, directoryHint: .isDirectory))
            try Self.check(package)
            let isNew = try store.addModel(package, atMilliseconds: wallClock())
            let size = ByteCountFormatStyle().format(Int64(package.files.reduce(0) { $0 + $1.bytes }))
            print(
                """
                Model \(package.manifest.name) (\(package.manifest.title)) \(isNew ? "was added" : "is here already").
                Package \(package.hash.short), \(package.files.count) files, \(size)
                Version \(package.version?.id.short ?? "-")
                """)
        }

        private static func check(_ package: ModelPackage) throws {
            guard let failed = ModelCheck.run(package, trains: false).first(where: { !$0.passed }) else { return }
            let fix = failed.fix.map { "\nWhat to do: \($0)" } ?? ""
            throw ModelRefused(text: "\(package.manifest.name) is not taken in: \(failed.name): \(failed.text)\(fix)")
        }

        private struct ModelRefused: Error, CustomStringConvertible {
            var text: String
            var description: String { text }
        }
    }

    /// `gantry-hub model list`.
    struct ListCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Show the models.")

        @OptionGroup var state: StateOption

        func run() throws {
            let models = try state.open().models()
            if models.isEmpty {
                print("There is no model. Run: gantry-hub model add --state \(state.state) PACKAGE_DIR")
                return
            }
            TextTable(
                ["MODEL", "PACKAGE", "VERSION", "NUMBER", "TITLE"],
                models.map {
                    [
                        $0.name, $0.package.short, $0.current.version.id.short, String($0.current.number),
                        $0.manifest.title,
                    ]
                }
            ).write()
        }
    }
}
