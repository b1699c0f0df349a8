// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

extension HubStatus {
    /// The Prometheus text format, version 0.0.4.
    public func metrics() -> String {
        var text = ""
        func family(
            _ name: String, _ type: String, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]
        ) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
            for sample in samples {
                let labels = sample.labels.map { "\($0.0)=\"\(Self.escape($0.1))\"" }.joined(separator: ",")
                text += labels.isEmpty ? name : "\(name){\(labels)}"
                text +=
                    " \(sample.value == sample.value.rounded() ? String(Int(sample.value)) : String(sample.value))\n"
            }
        }
        family(
            "gantry_hub_site_up", "gauge", "1 when an enrolled site was heard lately.",
            sites.filter { !$0.revoked }.map { ([("site", $0.name)], $0.online ? 1 : 0) })
        family(
            "gantry_hub_site_last_seen_seconds", "gauge", "Unix time of a site's last message.",
            sites.compactMap { site in
                site.lastSeenMs.map { ([("site", site.name)], (Double($0) / 1000).rounded(.down)) }
            })
        family(
            "gantry_hub_site_training_labels", "gauge", "Labelled studies a site may train on.",
            sites.flatMap { site in
                site.packages.map { ([("site", site.name), ("model", $0.model)], Double($0.trainingLabels)) }
            })
        family(
            "gantry_hub_site_log_rewritten", "gauge",
            "1 when a site's audit log was found to be rewritten, cut off or restored.",
            sites.map { ([("site", $0.name)], $0.logRewrittenAtMs == nil ? 0 : 1) })
        family(
            "gantry_hub_model_version", "gauge", "Number of a model's current version.",
            models.map { ([("model", $0.name)], Double($0.currentVersion)) })
        family(
            "gantry_hub_rounds_total", "counter", "Rounds that are over.",
            models.flatMap { model in
                [
                    ([("model", model.name), ("outcome", "closed")], Double(model.roundsClosed)),
                    ([("model", model.name), ("outcome", "void")], Double(model.roundsVoid)),
                ]
            })
        family(
            "gantry_hub_versions_refused_by_most", "gauge",
            "Versions that more than half of the deciding sites refused.",
            models.map { model in ([("model", model.name)], Double(model.versions.count { $0.refusedByMost })) })
        let open = models.compactMap { model in
            model.rounds.first { $0.state == "open" || $0.state == "aggregating" }.map { (model.name, $0) }
        }
        family(
            "gantry_hub_round_contributions", "gauge", "Deltas accepted in the round that is not over.",
            open.map { ([("model", $0.0)], Double($0.1.sites.count { $0.state == "accepted" })) })
        family(
            "gantry_hub_round_seconds_left", "gauge", "Time to the deadline of the open round.",
            open.map { ([("model", $0.0)], Double($0.1.secondsLeft)) })
        family(
            "gantry_hub_site_auc", "gauge", "Newest held-out AUC that a site measured.",
            models.flatMap { model in
                model.series.compactMap { series in
                    series.points.last.map { ([("model", model.name), ("site", series.site)], $0.auc) }
                }
            })
        family(
            "gantry_hub_refusals_total", "counter", "What was refused, by site (empty: not enrolled) and reason.",
            refusals.map { ([("site", $0.site), ("reason", $0.reason)], Double($0.count)) })
        return text
    }

    private static func escape(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
