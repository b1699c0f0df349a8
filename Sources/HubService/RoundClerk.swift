// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import HubStore
import Logging
import ModelPackage
import Rounds
import Tensors

/// Opens rounds, watches their deadlines, closes them. Belongs to the message thread; what it knows is in the store, so
/// that a hub that was killed goes on where it was.
final class RoundClerk {
    private let store: HubStore
    private let workbench: Workbench
    private let strategy: any Strategy
    private let settings: RoundSettings
    private let now: Clock
    private let logger: Logger
    /// Rounds on the workbench.
    private var aggregating: Set<Int> = []
    /// When a round whose aggregation failed for a reason of this machine (a full disk) is tried again.
    private var retryAtMilliseconds: [Int: Int64] = [:]

    private static let retryMilliseconds: Int64 = 30_000

    init(
        store: HubStore, workbench: Workbench, strategy: any Strategy, settings: RoundSettings, now: @escaping Clock,
        logger: Logger
    ) {
        self.store = store
        self.workbench = workbench
        self.strategy = strategy
        self.settings = settings
        self.now = now
        self.logger = logger
    }

    /// Does what is due. Call a few times a second.
    func tick() throws {
        for var model in try store.models() {
            if let version = try store.leaveRefusedVersion(
                package: model.package, quorum: settings.quorum, atMilliseconds: now()),
                let changed = try store.model(package: model.package)
            {
                logger.warning(
                    "most sites refused the current version; rounds go on from an earlier one",
                    metadata: [
                        "model": "\(model.name)", "refused": "\(model.current.number)", "current": "\(version.number)",
                    ])
                model = changed
            }
            if let active = try store.activeRound(package: model.package) {
                try advance(active.round, of: model)
            } else {
                try openIfDue(model)
            }
        }
    }

    /// Takes what the workbench made.
    func finish(round number: Int, _ outcome: Result<Workbench.Aggregate, any Error>) throws {
        aggregating.remove(number)
        do {
            let parameters: Workbench.NewParameters
            let weights: [String: Double]
            switch try outcome.get() {
            case .made(let made, let shares): (parameters, weights) = (made, shares)
            case .outOfLine(let outOfLine):
                try store.keepOut(outOfLine, round: number, atMilliseconds: now())
                for (site, fault) in outOfLine.sorted(by: { $0.key < $1.key }) {
                    logger.warning(
                        "delta refused",
                        metadata: [
                            "site": "\(site)", "round": "\(number)", "reason": "\(DeltaRefusal.outOfLine.rawValue)",
                            "why": "\(fault)",
                        ])
                }
                // The next tick goes on with those who are left.
                return
            }
            guard
                let version = try store.closeRound(
                    number, parameters: parameters.hash, parametersBytes: parameters.bytes, weights: weights,
                    atMilliseconds: now())
            else { return }
            logger.notice(
                "round closed",
                metadata: [
                    "round": "\(number)", "version": "\(version.version.id.short)", "number": "\(version.number)",
                ])
            try store.sweepDeltas()
            try store.forgetRounds(package: version.version.package, keeping: settings.keptRounds)
        } catch let fault as NonFiniteValue {
            try void(number, reason: "the aggregate is not finite: \(fault)")
        } catch {
            logger.error(
                "aggregation failed and will be tried again",
                metadata: ["round": "\(number)", "error": "\(error)", "seconds": "\(Self.retryMilliseconds / 1000)"])
            retryAtMilliseconds[number] = now() + Self.retryMilliseconds
        }
    }

    private func openIfDue(_ model: Model) throws {
        guard
            case .open(let cohort) = strategy.opening(
                try store.openingSituation(of: model, atMilliseconds: now()), settings),
            let round = try store.openRound(
                package: model.package, cohort: cohort, settings: settings, atMilliseconds: now())
        else { return }
        logger.notice(
            "round opened",
            metadata: [
                "round": "\(round.number)", "model": "\(model.name)", "base": "\(round.base.id.short)",
                "cohort": "\(cohort.sorted().joined(separator: " "))", "seconds": "\(settings.deadlineSeconds)",
            ])
    }

    private func advance(_ round: Round, of model: Model) throws {
        if round.state == .aggregating {
            // The screens may have kept some out.
            if round.contributions.count >= round.quorum {
                try aggregate(round)
            } else {
                try void(
                    round.number,
                    reason: FederatedAveraging.tooFewInLine(round.contributions.count, round.quorum))
            }
            return
        }
        switch strategy.decision(round, settings, nowMilliseconds: now()) {
        case .wait: return
        case .aggregate:
            if let closed = try store.beginAggregation(round.number) {
                logger.info(
                    "aggregating",
                    metadata: [
                        "round": "\(round.number)", "model": "\(model.name)",
                        "contributions": "\(closed.contributions.count) of \(closed.cohort.count)",
                    ])
                try aggregate(closed)
            }
        case .extend(let deadline):
            try store.extendRound(round.number, deadlineMilliseconds: deadline, atMilliseconds: now())
            logger.notice(
                "round extended: too few contributions at its deadline",
                metadata: [
                    "round": "\(round.number)", "contributions": "\(round.contributions.count)",
                    "needed": "\(round.quorum)",
                ])
        case .void(let reason): try void(round.number, reason: reason)
        }
    }

    private func aggregate(_ round: Round) throws {
        if aggregating.contains(round.number) { return }
        if let retry = retryAtMilliseconds[round.number], retry > now() { return }
        retryAtMilliseconds[round.number] = nil
        aggregating.insert(round.number)
        workbench.aggregate(round, with: strategy.aggregator, settings, in: store)
    }

    private func void(_ number: Int, reason: String) throws {
        try store.voidRound(number, reason: reason, atMilliseconds: now())
        logger.warning("round is void", metadata: ["round": "\(number)", "reason": "\(reason)"])
        try store.sweepDeltas()
        if let package = try store.round(number)?.base.package {
            try store.forgetRounds(package: package, keeping: settings.keptRounds)
        }
    }
}

extension HubStore {
    /// What a strategy needs to know about a model.
    func openingSituation(of model: Model, atMilliseconds now: Int64) throws -> OpeningSituation {
        let history = try roundHistory(package: model.package)
        let counted = try countedLabels(package: model.package)
        let standings = try sites().compactMap { site -> SiteStanding? in
            guard !site.isRevoked, let seen = site.lastSeenMilliseconds,
                let state = site.state?.packages.first(where: { $0.package == model.package })
            else { return nil }
            return SiteStanding(
                site: site.name, lastSeenMilliseconds: seen, trainingLabels: LabelCount.training(state),
                newLabels: LabelCount.new(state, counted: counted[site.name] ?? 0))
        }
        return OpeningSituation(
            sites: standings, roundsClosed: history.closed, lastEndMilliseconds: history.lastEndMilliseconds,
            lastOpeningMilliseconds: history.lastOpeningMilliseconds, nowMilliseconds: now)
    }
}
