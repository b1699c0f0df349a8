// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import HubStore
import ModelPackage
import Rounds

extension HubStatus {
    /// Program version of the hub.
    public static let programVersion = "0.1.0"

    private static let shownRounds = 20
    private static let shownDecisions = 15

    /// What the store says now. Any thread, any process.
    public init(
        _ store: HubStore, settings: RoundSettings, strategy: any Strategy, endpoint: String, publicKey: String,
        nowMilliseconds now: Int64
    ) throws {
        let models = try store.models()
        let versions = try Dictionary(
            models.map { ($0.package, try store.versions(package: $0.package)) },
            uniquingKeysWith: { first, _ in first })
        let rewritten = try store.rewrittenLogs()
        self.init(
            version: Self.programVersion, endpoint: endpoint, publicKey: publicKey, nowMs: now,
            models: try models.map {
                try ModelStatus($0, versions[$0.package] ?? [], store, settings, strategy, now)
            },
            sites: try store.sites().map { SiteStatus($0, models, versions, settings, now, rewritten[$0.name]) },
            refusals: try store.refusals().map {
                Refusal(site: $0.site, reason: $0.reason, count: $0.count, lastAtMs: $0.lastAtMilliseconds)
            },
            audit: try store.newestAuditEntries(limit: Self.shownDecisions).map {
                Decision(number: $0.number, atMs: $0.atMilliseconds, event: $0.event, detail: $0.detail)
            })
    }
}

extension HubStatus.ModelStatus {
    fileprivate init(
        _ model: Model, _ versions: [Version], _ store: HubStore, _ settings: RoundSettings, _ strategy: any Strategy,
        _ now: Int64
    ) throws {
        let numbers = Dictionary(versions.map { ($0.version.id, $0.number) }) { first, _ in first }
        let counts = try store.roundCounts(package: model.package)
        let records = try store.rounds(package: model.package, limit: HubStatus.shownRounds)
        let reports = try store.reports(package: model.package)
        let enrolled = Set(try store.sites().filter { !$0.isRevoked }.map(\.name))
        func standing(of version: Version) -> VersionStanding {
            let decisions = reports.filter { $0.report.version == version.version.id && enrolled.contains($0.site) }
                .map(\.report.decision)
            return VersionStanding(
                live: decisions.count { $0 == .live }, refused: decisions.count { $0 == .refused })
        }
        var waiting: String?
        if !records.contains(where: { !$0.round.state.isOver }),
            case .wait(let reason) = strategy.opening(
                try store.openingSituation(of: model, atMilliseconds: now), settings)
        {
            waiting = reason.description
        }
        self.init(
            name: model.name, title: model.manifest.title, package: model.package.hex, strategy: strategy.name,
            currentVersion: model.current.number, parametersBytes: model.current.parametersBytes,
            roundsClosed: counts[.closed] ?? 0, roundsVoid: counts[.void] ?? 0, roundLimit: settings.roundLimit,
            waitingFor: waiting,
            rounds: try records.map {
                try HubStatus.RoundStatus($0, base: numbers[$0.round.base.id] ?? 0, store, now)
            },
            versions: versions.map { version in
                HubStatus.VersionStatus(
                    number: version.number, id: version.version.id.hex, round: version.round,
                    createdAtMs: version.createdAtMilliseconds,
                    refusedByMost: standing(of: version).isRefusedByMost(quorum: settings.quorum),
                    reports: reports.filter { $0.report.version == version.version.id }.map(HubStatus.Report.init))
            },
            series: HubStatus.Series.all(reports, versions))
    }
}

extension HubStatus.Report {
    fileprivate init(_ report: SiteReport) {
        self.init(
            site: report.site, decision: report.report.decision.rawValue, heldOutLabels: report.report.heldOutLabels,
            candidateAuc: report.report.candidateAUC, liveAuc: report.report.liveAUC, reason: report.report.reason,
            candidateSensitivity: report.report.figures?.candidateSensitivity,
            liveSensitivity: report.report.figures?.liveSensitivity,
            candidateSpecificity: report.report.figures?.candidateSpecificity,
            liveSpecificity: report.report.figures?.liveSpecificity,
            candidateFlagged: report.report.figures?.candidateFlagged,
            liveFlagged: report.report.figures?.liveFlagged)
    }
}

extension HubStatus.Series {
    /// One point for each version a site measured. The version before the first one measured has no report of its own;
    /// its point is what the site's live model had at that time.
    fileprivate static func all(_ reports: [SiteReport], _ versions: [Version]) -> [Self] {
        let byID = Dictionary(versions.map { ($0.version.id, $0) }) { first, _ in first }
        return Set(reports.map(\.site)).sorted().compactMap { site in
            var points: [HubStatus.Point] = []
            for report in reports where report.site == site {
                guard let version = byID[report.report.version] else { continue }
                if points.isEmpty, let live = report.report.liveAUC, let parent = version.parent.flatMap({ byID[$0] }) {
                    points.append(HubStatus.Point(version: parent.number, auc: live))
                }
                if let auc = report.report.candidateAUC {
                    points.append(HubStatus.Point(version: version.number, auc: auc))
                }
            }
            return points.isEmpty ? nil : HubStatus.Series(site: site, points: points)
        }
    }
}

extension HubStatus.RoundStatus {
    fileprivate init(_ record: RoundRecord, base: Int, _ store: HubStore, _ now: Int64) throws {
        let round = record.round
        let outOfLine = round.outOfLine.isEmpty ? [:] : try store.outOfLine(round: round.number)
        let receiving = round.state == .open ? try store.receiving(round: round.number) : []
        self.init(
            number: round.number, state: round.state.rawValue, baseVersion: base,
            openedAtMs: round.openedAtMilliseconds, deadlineMs: round.deadlineMilliseconds,
            endedAtMs: record.endedAtMilliseconds,
            secondsLeft: round.state == .open ? round.secondsLeft(atMilliseconds: now) : 0,
            extensionsUsed: round.extensionsUsed, quorum: round.quorum, reason: record.reason,
            sites: round.cohort.union(round.contributions.keys).sorted().map { site in
                if let contribution = round.contributions[site] {
                    return HubStatus.Member(
                        site: site, state: "accepted", receivedBytes: 0, bytes: 0, examples: contribution.examples)
                }
                if let why = outOfLine[site] {
                    return HubStatus.Member(
                        site: site, state: "out-of-line", why: why, receivedBytes: 0, bytes: 0, examples: 0)
                }
                guard let delta = receiving.first(where: { $0.site == site }) else {
                    return HubStatus.Member(site: site, state: "waiting", receivedBytes: 0, bytes: 0, examples: 0)
                }
                return HubStatus.Member(
                    site: site, state: "receiving", receivedBytes: delta.received, bytes: delta.manifest.bytes,
                    examples: delta.manifest.examples)
            })
    }
}

extension HubStatus.SiteStatus {
    fileprivate init(
        _ site: Site, _ models: [Model], _ versions: [Hash: [Version]], _ settings: RoundSettings, _ now: Int64,
        _ logRewrittenAt: Int64?
    ) {
        let silence = site.lastSeenMilliseconds.map { now - $0 }
        self.init(
            name: site.name, enrolledAtMs: site.enrolledAtMilliseconds, revoked: site.isRevoked,
            online: !site.isRevoked && silence.map { $0 <= Int64(settings.presenceSeconds) * 1000 } ?? false,
            lastSeenMs: site.lastSeenMilliseconds, program: site.state?.version,
            packages: (site.state?.packages ?? []).compactMap { state in
                guard let model = models.first(where: { $0.package == state.package }) else { return nil }
                return HubStatus.Package(
                    model: model.name,
                    liveVersion: versions[state.package]?.first { $0.version.id == state.live }?.number,
                    trainingLabels: state.trainingLabels, newLabels: state.newLabels,
                    heldOutLabels: state.heldOutLabels)
            }, logRewrittenAtMs: logRewrittenAt)
    }
}
