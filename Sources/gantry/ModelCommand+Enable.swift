// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import WorkerStore

extension ModelCommand {
    /// `gantry model disable`.
    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop a package: it scores nothing and does not train, until it is enabled.",
            discussion: "It stays stopped when the worker starts again, also when the settings name it.")

        @OptionGroup var chosen: Chosen

        func run() throws {
            let package = try chosen.worker.store().write { try $0.disable(chosen.package, by: user) }
            print("\(package.name) \(package.package.short): disabled")
            print(effect)
        }
    }

    /// `gantry model enable`.
    struct Enable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a package score and train again that was disabled or replaced, or that the settings named.")

        @OptionGroup var chosen: Chosen

        func run() throws {
            let package = try chosen.worker.store().write { try $0.enable(chosen.package, by: user) }
            print("\(package.name) \(package.package.short): enabled")
            print(effect)
        }
    }

    /// `gantry model remove`.
    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a package from a worker: its files, its versions, and what was kept to train it on.",
            discussion: """
                Flags and labels stay. One that the settings name is installed anew at the next start, and one that a hub
                offers waits for approval again: gantry model deny it then, or instead.
                """)

        @OptionGroup var chosen: Chosen

        func run() throws {
            let store = try chosen.worker.store()
            let (package, paths) = try store.write { try $0.remove(chosen.package, by: user) }
            store.delete(paths)
            print("\(package.name) \(package.package.short): removed")
            if package.origin == .settings {
                print("the worker's settings name it: take it out there, or it is installed again at the next start")
            }
            print(effect)
        }
    }
}
