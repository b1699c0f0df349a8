// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import WorkerStore

extension ModelCommand {
    /// Which live models of a worker a subcommand is about.
    struct Target: ParsableArguments {
        @Option(help: "The worker's state directory (its `state` setting).", completion: .directory)
        var state: String

        @Option(help: "The package's name; needed when several are live.")
        var package: String?

        @Option(help: "The finding's name; needed when the package has several.")
        var finding: String?

        /// A live version with its manifest.
        struct Live {
            var version: VersionRow
            var manifest: Manifest
            /// The findings that are asked for.
            var findings: [Finding]

            /// - Throws: when it is not clear which finding is meant.
            var only: Finding {
                get throws {
                    guard findings.count == 1, let finding = findings.first else {
                        throw ValidationError(
                            "say which finding: --finding \(findings.map(\.name).joined(separator: " or --finding "))")
                    }
                    return finding
                }
            }
        }

        func store() throws -> WorkerStore {
            try WorkerStore(directory: URL(filePath: state, directoryHint: .isDirectory), create: false)
        }

        /// The live versions that match; at least one.
        func all(_ transaction: WorkerTransaction) throws -> [Live] {
            let live = try transaction.liveVersions().compactMap { version -> Live? in
                guard let manifest = try transaction.package(version.version.package)?.decodedManifest() else {
                    return nil
                }
                return Live(version: version, manifest: manifest, findings: manifest.findings)
            }
            guard !live.isEmpty else { throw ValidationError("no model is live in \(state)") }
            let named = live.filter { package == nil || $0.manifest.name == package }
            guard !named.isEmpty else {
                throw ValidationError(
                    "no live package has this name; live are \(live.map(\.manifest.name).joined(separator: ", "))")
            }
            guard let finding else { return named }
            let looking = named.compactMap { one -> Live? in
                var one = one
                one.findings = one.findings.filter { $0.name == finding }
                return one.findings.isEmpty ? nil : one
            }
            guard !looking.isEmpty else {
                let known = named.flatMap(\.findings).map(\.name).joined(separator: ", ")
                throw ValidationError("no live model looks for this finding; they look for \(known)")
            }
            return looking
        }

        /// - Throws: when it is not clear which package is meant.
        func choose(_ transaction: WorkerTransaction) throws -> Live {
            let live = try all(transaction)
            guard live.count == 1, let only = live.first else {
                throw ValidationError(
                    "say which package: --package \(live.map(\.manifest.name).joined(separator: " or --package "))")
            }
            return only
        }
    }
}
