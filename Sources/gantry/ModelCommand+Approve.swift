// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import WorkerStore

extension ModelCommand {
    /// `gantry model approve`.
    struct Approve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a package that a hub offers, with the version that it offers now.",
            discussion: """
                Until then nothing but the package's manifest has been fetched. gantry model list NAME shows what is
                approved: the hash, which no other content has, what it takes and finds, the margin of its guard, its size,
                the hub, the version, and how many sites keep it or refused it. The worker then fetches the package, tries
                whether the version says different things about different inputs, and makes it live. Later versions of
                the same package come through the guard without a new approval; another package needs one.
                """)

        @OptionGroup var chosen: Chosen

        @Flag(help: "Also when another package of this name is live, which then stops.")
        var replace = false

        func run() throws {
            let store = try chosen.worker.store()
            let lines = try store.write { transaction in
                let (package, _) = try transaction.approve(chosen.package, replacing: replace, by: user)
                let approved = try transaction.package(package.package) ?? package
                return try PackageSheet(approved, transaction, store).lines
            }
            print(lines.joined(separator: "\n"))
            print(effect)
        }
    }

    /// `gantry model deny`.
    struct Deny: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Do not take a package that a hub offers, now and when it offers it again.")

        @OptionGroup var chosen: Chosen

        func run() throws {
            let store = try chosen.worker.store()
            let package = try store.write { try $0.deny(chosen.package, by: user) }
            print("\(package.name) \(package.package.short): denied")
            print(effect)
        }
    }
}
