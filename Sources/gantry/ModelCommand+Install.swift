// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import WorkerStore

extension ModelCommand {
    /// `gantry model install`.
    struct Install: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Install a package at a worker; it is live at once.",
            discussion: """
                The package takes the place of one of the same name, whoever that came from. Nothing that a hub offers
                replaces it: only gantry model approve --replace does.
                """)

        @OptionGroup var source: Source

        @OptionGroup var worker: AtWorker

        func run() throws {
            let store = try worker.store()
            try source.open { package in
                guard let version = package.version else {
                    throw ValidationError(
                        "\(source.package) has no \(ModelPackage.parametersPath); run gantry model prepare \(source.package)"
                    )
                }
                try store.keep(package)
                let row = try PackageRow(
                    package: package.hash, manifest: package.manifest, origin: .command,
                    bytes: package.files.reduce(0) { $0 + $1.bytes }, installedAt: now)
                let live = try store.write { transaction in
                    try transaction.install(row, by: user)
                    if let live = try transaction.liveVersion(package: package.hash) { return live }
                    let own = VersionRow(version: version, round: 0, state: .live, decidedAt: now, isReportDue: true)
                    try transaction.save(own)
                    return own
                }
                print("\(row.words): installed, version \(live.version.id.short) is live")
                print(effect)
            }
        }
    }
}
