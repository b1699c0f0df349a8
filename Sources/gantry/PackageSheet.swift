// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import WorkerStore

/// What an administrator has to know about a package of a worker, as lines. Texts may be a stranger's.
struct PackageSheet {
    let lines: [String]

    init(_ row: PackageRow, _ transaction: WorkerTransaction, _ store: WorkerStore) throws {
        let manifest = try row.decodedManifest()
        let offer = try transaction.offer(row.package)
        var rows = [
            ["title", manifest.title.printable()], ["intended use", manifest.intendedUse.printable(most: 400)],
            ["package", row.package.hex],
            ["from", row.origin.words + (offer.map { ", \($0.hub.printable())" } ?? "")],
            ["takes", manifest.takes.words],
        ]
        for finding in manifest.findings.prefix(Self.mostFindings) {
            rows.append([
                "finds",
                "\(finding.name) (\(finding.title.printable())), \(finding.urgency.rawValue) from \(finding.threshold)",
            ])
        }
        if manifest.findings.count > Self.mostFindings {
            rows.append(["finds", "and \(manifest.findings.count - Self.mostFindings) more"])
        }
        rows += [
            [
                "guard",
                "goes live when its held-out AUC is at most \(manifest.guardRule.margin) worse, "
                    + "or guard_margin_most of the worker's settings where that is less",
            ],
            ["size", row.bytes == 0 ? "not noted" : Self.size(row.bytes)],
        ]
        if let offer {
            let sites =
                offer.sitesLive.map { "; live at \($0) sites, refused by \(offer.sitesRefused ?? 0)" }
                ?? "; the hub does not say what other sites think of it"
            rows.append([
                "offered",
                "version \(offer.version.id.short), after \(offer.round) rounds, \(Self.size(offer.parametersBytes))\(sites)",
            ])
            if !offer.problem.isEmpty { rows.append(["problem", offer.problem.printable(most: 400)]) }
        }
        var lines = ["\(row.words)\(row.isPinned ? ", pinned" : "")", rows.map { ["  " + $0[0], $0[1]] }.aligned()]
        lines += try Self.versions(row, transaction, store)
        if let next = Self.next(row) {
            lines.append("  next: gantry model \(next) \(row.package.short) --state \(store.directory.path)")
        }
        self.lines = lines
    }

    private static let mostFindings = 16
    private static let mostVersions = 20

    private static func versions(
        _ row: PackageRow, _ transaction: WorkerTransaction, _ store: WorkerStore
    ) throws -> [String] {
        let versions = try transaction.versions(package: row.package)
        guard !versions.isEmpty else { return [] }
        let cells = versions.prefix(mostVersions).map { version in
            let figures = [("AUC", version.candidateAUC), ("live one's", version.liveAUC)].compactMap { name, value in
                value.map { "\(name) \(String(format: "%.3f", $0))" }
            }
            let state = version.state == .candidate && row.isPinned ? "waits: pinned" : version.state.rawValue
            return [
                "  " + version.version.id.short, "after \(version.round) rounds", state,
                Date(timeIntervalSince1970: Double(version.decidedAt) / 1000).formatted(.iso8601),
                figures.isEmpty ? "no figures on held-out labels" : figures.joined(separator: ", "),
                store.hasParameters(version.version) ? "" : "parameters not kept",
            ]
        }
        return ["  versions:", cells.aligned()]
    }

    private static func next(_ row: PackageRow) -> String? {
        switch row.state {
        case .waiting: "approve (or deny)"
        case .denied: "approve (if it is wanted after all)"
        case .disabled, .unlisted: "enable"
        case .approved, .active, .replaced: nil
        }
    }

    private static func size(_ bytes: Int) -> String {
        bytes < 1 << 20 ? "\((bytes + 1023) >> 10) KiB" : String(format: "%.1f MiB", Double(bytes) / 1_048_576)
    }
}

extension Applicability {
    /// In words, for people.
    var words: String {
        let parts = [
            modalities.isEmpty ? "any modality" : modalities.joined(separator: "/"),
            bodyParts.isEmpty ? "any body part" : bodyParts.joined(separator: "/"),
            sopClasses.isEmpty ? "any SOP class" : "SOP class \(sopClasses.joined(separator: ", "))",
        ]
        return parts.joined(separator: "; ").printable(most: 400)
    }
}
