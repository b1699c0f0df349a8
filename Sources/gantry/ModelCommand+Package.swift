// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import WorkerStore

extension ModelCommand {
    /// The worker that a subcommand is about.
    struct AtWorker: ParsableArguments {
        @Option(help: "The worker's state directory (its `state` setting).", completion: .directory)
        var state: String

        func store() throws -> WorkerStore {
            try WorkerStore(directory: URL(filePath: state, directoryHint: .isDirectory), create: false)
        }
    }

    /// The package of a worker that a subcommand is about.
    struct Chosen: ParsableArguments {
        @Argument(help: ArgumentHelp("The package's name, or the first digits of its hash.", valueName: "name|hash"))
        var package: String

        @OptionGroup var worker: AtWorker
    }

    /// Who is noted in the audit log.
    static var user: String { NSUserName() }

    /// Unix milliseconds UTC
    static var now: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    static let effect = "noted in the audit log; a running worker follows within seconds, one that starts at its start"
}
