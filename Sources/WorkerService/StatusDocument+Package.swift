// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import WorkerStore

extension StatusDocument {
    /// A package that is installed or that a hub offers.
    struct Package: Encodable {
        var name: String
        var title: String
        var package: String
        /// `PackageRow.State` as text; `waiting` for approval.
        var state: String
        /// `settings`, `command` or `hub`.
        var origin: String
        var pinned: Bool
        /// Of the model's findings, the first ones.
        var findings: [String]
        var modalities: [String]
        /// The package's own; the site's `guard_margin_most` holds where it is less.
        var guardMargin: Double
        var bytes: Int
        var hub: String?
        /// The version that the hub offers, and after how many rounds.
        var offeredVersion: String?
        var offeredRound: Int?
        /// Why it is not taken.
        var problem: String?
    }
}

extension StatusDocument.Package {
    /// Texts are a hub's: cut, and without control characters.
    private static let mostCharacters = 200
    private static let mostNames = 16

    init(_ row: PackageRow, _ offer: HubOffer?) throws {
        let manifest = try row.decodedManifest()
        self.init(
            name: row.name, title: manifest.title.printable(most: Self.mostCharacters), package: row.package.hex,
            state: row.state.rawValue, origin: row.origin.rawValue, pinned: row.isPinned,
            findings: manifest.findings.prefix(Self.mostNames).map(\.name),
            modalities: manifest.takes.modalities.prefix(Self.mostNames).map { $0.printable(most: 16) },
            guardMargin: manifest.guardRule.margin, bytes: row.bytes, hub: offer?.hub,
            offeredVersion: offer?.version.id.hex, offeredRound: offer?.round,
            problem: offer.flatMap { $0.problem.isEmpty ? nil : $0.problem.printable(most: Self.mostCharacters) })
    }
}
