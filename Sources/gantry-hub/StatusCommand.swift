// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import HubService
import HubStore
import Rounds

/// `gantry-hub status`.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show rounds, sites, versions and refusals; also while the hub is stopped.")

    @OptionGroup var state: StateOption

    @Flag(help: "The JSON of /api/status instead of tables.")
    var json = false

    func run() throws {
        let store = try state.open()
        let status = try StatusServer(
            store: store, settings: store.setting(StateOption.roundsSetting, as: RoundSettings.self) ?? RoundSettings(),
            endpoint: store.setting(StateOption.endpointSetting, as: String.self) ?? "", publicKey: state.publicKey()
        ).status()
        if json {
            print(String(decoding: try status.json(), as: UTF8.self))
            return
        }
        print("Hub \(status.endpoint)  public key \(status.publicKey)")
        for model in status.models { show(model) }
        if status.models.isEmpty { print("\nNo model. Run: gantry-hub model add --state \(state.state) PACKAGE_DIR") }
        showSites(status)
        if !status.refusals.isEmpty {
            print()
            TextTable(
                ["REFUSED", "REASON", "COUNT", "LAST"],
                status.refusals.map {
                    [
                        $0.site.isEmpty ? "(not enrolled)" : $0.site, $0.reason, String($0.count),
                        TextTable.ago($0.lastAtMs, status.nowMs),
                    ]
                }
            ).write()
        }
    }

    private func show(_ model: HubStatus.ModelStatus) {
        let limit = model.roundLimit == 0 ? "" : " of \(model.roundLimit)"
        print(
            """

            \(model.name): version \(model.currentVersion), \(model.roundsClosed)\(limit) rounds closed, \
            \(model.roundsVoid) void
            """)
        if let round = model.rounds.first(where: { $0.state == "open" || $0.state == "aggregating" }) {
            let members = round.sites.map { member in
                member.state == "receiving"
                    ? "\(member.site) \(member.receivedBytes)/\(member.bytes) bytes" : "\(member.site) \(member.state)"
            }
            print(
                "round \(round.number): \(round.state), \(round.secondsLeft) s left, quorum \(round.quorum): "
                    + members.joined(separator: ", "))
        } else if let reason = model.waitingFor {
            print("no round is open: \(reason)")
        }
        TextTable(
            ["VERSION", "ID", "ROUND", "REPORTS"],
            model.versions.suffix(10).map { version in
                let reports = version.reports.map { report in
                    "\(report.site) \(report.decision) \(report.candidateAuc.map { String(format: "%.3f", $0) } ?? "-")"
                        + (report.reason.map { " (\($0))" } ?? "")
                }
                let words = [
                    version.number == model.currentVersion ? "current" : nil,
                    version.refusedByMost ? "refused by most" : nil,
                ].compactMap { $0 }
                return [
                    ([String(version.number)] + words).joined(separator: " "), String(version.id.prefix(12)),
                    version.round.map(String.init) ?? "-",
                    reports.isEmpty ? "-" : reports.joined(separator: ", "),
                ]
            }
        ).write()
    }

    private func showSites(_ status: HubStatus) {
        print()
        if status.sites.isEmpty {
            print("No site. Run: gantry-hub site add --state \(state.state) --name NAME --key KEY")
            return
        }
        TextTable(
            ["SITE", "STATE", "LAST SEEN", "LIVE", "LABELS (NEW)", "HELD OUT"],
            status.sites.flatMap { site in
                let head = [
                    site.name, site.revoked ? "revoked" : site.online ? "online" : "silent",
                    site.lastSeenMs.map { TextTable.ago($0, status.nowMs) } ?? "never",
                ]
                if site.packages.isEmpty { return [head + ["-", "-", "-"]] }
                return site.packages.map { package in
                    head + [
                        "\(package.model) \(package.liveVersion.map(String.init) ?? "?")",
                        "\(package.trainingLabels) (\(package.newLabels))", String(package.heldOutLabels),
                    ]
                }
            }
        ).write()
    }
}
