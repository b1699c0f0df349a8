// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import WorkerStore

extension ModelCommand {
    /// `gantry model rollback`.
    struct Rollback: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go back to a version that was live before.",
            discussion: """
                The version that was live counts as refused by this site, and the hub hears so; it does not come back.
                Newer versions still come through the guard: gantry model pin stops them. A worker keeps the parameters
                of the last eight versions that were live; gantry model list NAME shows them.
                """)

        @OptionGroup var chosen: Chosen

        @Option(help: ArgumentHelp("The version; the last one before this unless given.", valueName: "version"))
        var to: String?

        func run() throws {
            let store = try chosen.worker.store()
            let (package, from, target) = try store.write {
                try $0.rollBack(chosen.package, to: to, by: user, at: now, isKept: store.hasParameters)
            }
            print(
                "\(package.name) \(package.package.short): version \(target.version.id.short), after \(target.round) rounds, "
                    + "is live again; \(from.version.id.short) is refused")
            print(effect)
        }
    }

    /// `gantry model pin`.
    struct Pin: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keep a version: the hub's later ones wait until the package is unpinned.",
            discussion: "The package still trains in the hub's rounds.")

        @OptionGroup var chosen: Chosen

        @Argument(
            help: ArgumentHelp("A version that was live before; the live one unless given.", valueName: "version"))
        var version: String?

        func run() throws {
            let store = try chosen.worker.store()
            let (package, pinned) = try store.write {
                try $0.pin(chosen.package, version: version, by: user, at: now, isKept: store.hasParameters)
            }
            print("\(package.name) \(package.package.short): pinned to version \(pinned.version.id.short)")
            print(effect)
        }
    }

    /// `gantry model unpin`.
    struct Unpin: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let the hub's new versions go live again, if the guard has nothing against them.")

        @OptionGroup var chosen: Chosen

        func run() throws {
            let package = try chosen.worker.store().write { try $0.unpin(chosen.package, by: user) }
            print("\(package.name) \(package.package.short): unpinned")
            print(effect)
        }
    }
}
