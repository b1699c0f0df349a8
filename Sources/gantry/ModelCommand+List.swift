// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import WorkerStore

extension ModelCommand {
    /// `gantry model list`.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the packages of a worker: what is live, what waits for approval, what was stopped.",
            discussion: """
                With a name or hash: everything about that package and its versions, as an administrator wants it before
                approving it, and as rollback and pin need it.
                """)

        @Argument(help: ArgumentHelp("The package's name, or the first digits of its hash.", valueName: "name|hash"))
        var package: String?

        @OptionGroup var worker: AtWorker

        func run() throws {
            let store = try worker.store()
            let lines = try store.read { transaction -> [String] in
                let packages = try transaction.packages()
                guard let package else {
                    if packages.isEmpty { return ["no package is installed, and no hub offers one"] }
                    let waiting = packages.filter { $0.state == .waiting }
                    return try [Self.table(packages, transaction)]
                        + waiting.flatMap { try [""] + PackageSheet($0, transaction, store).lines }
                }
                let chosen = packages.filter { $0.matches(package) }
                guard !chosen.isEmpty else {
                    throw ModelDecisionError.unknownPackage(package, known: packages.map(\.words))
                }
                return try Array(chosen.map { try PackageSheet($0, transaction, store).lines }.joined(separator: [""]))
            }
            print(lines.joined(separator: "\n"))
        }

        private static func table(_ packages: [PackageRow], _ transaction: WorkerTransaction) throws -> String {
            let rows = try packages.map { row in
                let live = try transaction.liveVersion(package: row.package)
                return [
                    row.name, row.package.short, row.state.words + (row.isPinned ? ", pinned" : ""), row.origin.words,
                    row.isInstalled ? live.map { "\($0.version.id.short), after \($0.round) rounds" } ?? "none" : "",
                ]
            }
            return ([["name", "package", "state", "from", "version"]] + rows).aligned()
        }
    }
}
