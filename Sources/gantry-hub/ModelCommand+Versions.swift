// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import HubService
import HubStore
import Rounds

extension ModelCommand {
    /// `gantry-hub model versions`.
    struct VersionsCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "versions", abstract: "Show a model's versions and what the sites made of them.")

        @OptionGroup var state: StateOption

        @Argument(help: "Name of the model.")
        var name: String

        func run() throws {
            let store = try state.open()
            guard let model = try store.models().first(where: { $0.name == name }) else {
                throw HubStoreError.noModel(name)
            }
            let quorum = try state.quorum(store)
            let versions = try store.versions(package: model.package)
            let reports = try store.reports(package: model.package)
            let numbers = Dictionary(versions.map { ($0.version.id, $0.number) }) { first, _ in first }
            TextTable(
                ["NUMBER", "VERSION", "FROM", "ROUND", "STATE", "REPORTS"],
                try versions.map { version in
                    let standing = try store.standing(of: version.version.id)
                    let words = [
                        version == model.current ? "current" : nil,
                        standing.isRefusedByMost(quorum: quorum) ? "refused by most" : nil,
                    ].compactMap { $0 }
                    let said = reports.filter { $0.report.version == version.version.id }.map { report in
                        "\(report.site) \(report.report.decision.rawValue)"
                            + (report.report.reason.map { " (\($0))" } ?? "")
                    }
                    return [
                        String(version.number), version.version.id.short,
                        version.parent.flatMap { numbers[$0] }.map(String.init) ?? "-",
                        version.round.map(String.init) ?? "-", words.isEmpty ? "-" : words.joined(separator: ", "),
                        said.isEmpty ? "-" : said.joined(separator: ", "),
                    ]
                }
            ).write()
        }
    }

    /// `gantry-hub model rollback`.
    struct RollbackCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rollback", abstract: "Make an older version the current one, at once.",
            discussion: """
                Sites are offered it as they are any new version, the next round starts from it, and a round that is not
                over is void. Without --to it is the version that the current one was made from.
                """)

        @OptionGroup var state: StateOption

        @Argument(help: "Name of the model.")
        var name: String

        @Option(help: "Number or id of the version; gantry-hub model versions shows them.")
        var to: String?

        func run() throws {
            let store = try state.open()
            let version = try store.rollBack(
                model: name, to: to, quorum: try state.quorum(store), atMilliseconds: wallClock())
            print("Version \(version.number) (\(version.version.id.short)) of \(name) is current now.")
        }
    }
}
