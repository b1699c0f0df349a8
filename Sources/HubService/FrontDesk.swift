// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import HubStore
import Logging
import ModelPackage
import Rounds

/// Answers what sites say: one answer to each request, each after its commit. Belongs to the message thread.
final class FrontDesk {
    /// Where an answer goes: the identity frame of the connection that asked.
    typealias ReturnAddress = [UInt8]

    private let store: HubStore
    private let workbench: Workbench
    private let bounds: BoundScreen
    private let now: Clock
    private let logger: Logger
    /// Sites that take any reason of a refusal, by what they said since the hub started.
    private var takeAnyReason: Set<String> = []
    /// What was heard and is not written down yet; by site name.
    private var presence: [String: (seenAtMilliseconds: Int64, state: SiteState?)] = [:]
    /// Deltas on the workbench, and who waits for the outcome.
    private var waiting: [DeltaKey: [ReturnAddress]] = [:]

    private struct DeltaKey: Hashable {
        let round: Int
        let site: String
        let hash: Hash

        init(_ delta: ReceivedDelta) {
            round = delta.round
            site = delta.site
            hash = delta.hash
        }
    }

    init(store: HubStore, workbench: Workbench, bounds: BoundScreen, now: @escaping Clock, logger: Logger) {
        self.store = store
        self.workbench = workbench
        self.bounds = bounds
        self.now = now
        self.logger = logger
    }

    /// - Returns: the answer; nil when it comes later from `answers(to:of:)`.
    /// - Throws: when the store fails; nothing is promised to the site then.
    func answer(_ message: ToHub, from site: Site, at address: ReturnAddress) throws -> ToSite? {
        presence[site.name, default: (0, nil)].seenAtMilliseconds = now()
        switch message {
        case .hello(let state):
            presence[site.name]?.state = state
            if state.capabilities?.contains(SiteState.takesAnyReason) == true {
                takeAnyReason.insert(site.name)
            } else {
                takeAnyReason.remove(site.name)
            }
            var answer = try hubState(for: site)
            answer.audit = try exchangeAuditHeads(state.audit, with: site)
            return .welcome(answer)
        case .fetch(let hash, let offset, let length): return try piece(hash, offset, length)
        case .offer(let manifest): return try offer(manifest, from: site, at: address)
        case .chunk(let round, let hash, let offset, let bytes):
            return try chunk(round: round, hash: hash, offset: offset, bytes: bytes, from: site, at: address)
        case .report(let report):
            guard let isKept = try store.recordReport(report, from: site.name, atMilliseconds: now()) else {
                return .error(name: "unknown-version", text: "this hub has no version \(report.version.short)")
            }
            // Noted all the same, so that the site does not say it again.
            guard isKept else { return .noted(version: report.version) }
            logger.info(
                "version reported",
                metadata: [
                    "site": "\(site.name)", "version": "\(report.version.short)", "decision": "\(report.decision)",
                    "auc": "\(report.candidateAUC.map { String(format: "%.3f", $0) } ?? "-")",
                    "reason": "\(report.reason ?? "-")",
                ])
            return .noted(version: report.version)
        }
    }

    /// Writes down who was heard.
    func flushPresence() throws {
        try store.recordPresence(presence)
        presence = [:]
    }

    /// Notes how far the site's audit log goes, and says the same of the hub's.
    private func exchangeAuditHeads(_ statement: AuditStatement?, with site: Site) throws -> AuditStatement {
        if let statement, let fault = try store.witness(statement, of: site.name, atMilliseconds: now()) {
            logger.error("a site's audit log is not the one before", metadata: ["fault": "\(fault)"])
        }
        return try store.auditStatement(to: site.name, asked: statement?.asks)
    }

    // MARK: Models

    private func hubState(for site: Site) throws -> HubState {
        HubState(
            site: site.name,
            models: try store.models().map { model in
                let active = try store.activeRound(package: model.package)
                let standing = try store.standing(of: model.current.version.id)
                return HubState.Model(
                    name: model.name, version: model.current.version, files: model.files,
                    parametersBytes: model.current.parametersBytes,
                    roundsClosed: try store.roundHistory(package: model.package).closed,
                    round: active.flatMap { invitation(to: $0, for: site) }, sitesLive: standing.live,
                    sitesRefused: standing.refused)
            })
    }

    /// What a site is told about a round that it may still contribute to.
    private func invitation(to record: RoundRecord, for site: Site) -> RoundConfig? {
        let round = record.round
        guard round.state == .open, round.cohort.contains(site.name), round.contributions[site.name] == nil else {
            return nil
        }
        var config = record.config
        config.secondsLeft = round.secondsLeft(atMilliseconds: now())
        return config
    }

    private func piece(_ hash: Hash, _ offset: Int, _ length: Int) throws -> ToSite {
        guard let bytes = try store.fetchableBytes(hash) else {
            return .error(name: "unknown-file", text: "this hub has no file \(hash.short)")
        }
        guard offset <= bytes else {
            return .error(name: "bad-offset", text: "file \(hash.short) has \(bytes) bytes, none at \(offset)")
        }
        return .piece(hash: hash, offset: offset, bytes: try store.blobs.read(hash, offset: offset, length: length))
    }

    // MARK: Deltas

    private func offer(_ manifest: DeltaManifest, from site: Site, at address: ReturnAddress) throws -> ToSite? {
        let round = try store.round(manifest.round)
        let model = try round.flatMap { try store.model(package: $0.base.package) }
        // Every version of a model has the same tensors and so the same size.
        let largest = DeltaInspection.largestBytes(baseBytes: model?.current.parametersBytes ?? 0)
        let labels = try round.map { try self.labels(of: site, in: $0) } ?? 0
        switch Admission.judge(manifest, from: site.name, round: round, labels: labels, largestBytes: largest) {
        case .accepted: return .accepted(round: manifest.round)
        case .refuse(let reason): return try refuse(site, manifest.round, reason)
        case .take: break
        }
        if let known = try store.delta(round: manifest.round, site: site.name, hash: manifest.hash) {
            if waiting[DeltaKey(known)] != nil { return inspect(known, at: address) }
            // The bytes with this hash were looked at; sending them again changes nothing.
            if known.state == .refused, let reason = known.refusal,
                [.wrongShape, .notFinite, .malformed].contains(reason)
            {
                return try refuse(site, manifest.round, reason)
            }
        }
        guard try store.mayOffer(manifest, from: site.name) else {
            return try refuse(site, manifest.round, .tooManyOffers)
        }
        let delta = try store.beginDelta(manifest, from: site.name, atMilliseconds: now())
        logger.info(
            "delta offered",
            metadata: [
                "site": "\(site.name)", "round": "\(delta.round)", "delta": "\(delta.hash.short)",
                "bytes": "\(manifest.bytes)", "received": "\(delta.received)", "examples": "\(manifest.examples)",
            ])
        return delta.isComplete
            ? inspect(delta, at: address) : .resume(round: delta.round, received: delta.received)
    }

    /// Training labels that a site itself says it has: now, or when the round opened, since labels are withdrawn too.
    private func labels(of site: Site, in round: Round) throws -> Int {
        let said = (presence[site.name]?.state ?? site.state)?.packages.first { $0.package == round.base.package }
        return max(said.map(LabelCount.training) ?? 0, try store.cohortLabels(round: round.number, site: site.name))
    }

    private func chunk(
        round number: Int, hash: Hash, offset: Int, bytes: Data, from site: Site, at address: ReturnAddress
    ) throws -> ToSite? {
        guard let delta = try store.delta(round: number, site: site.name, hash: hash) else {
            return .error(name: "no-offer", text: "no delta \(hash.short) was offered for round \(number)")
        }
        switch delta.state {
        case .accepted: return .accepted(round: number)
        case .refused: return refused(site.name, number, delta.refusal ?? .malformed)
        case .superseded, .withdrawn:
            return .error(name: "no-offer", text: "delta \(hash.short) was replaced by a later offer")
        case .receiving: break
        }
        guard let round = try store.round(number), round.state == .open else {
            return try refuse(site, number, .roundClosed, delta)
        }
        if waiting[DeltaKey(delta)] != nil { return inspect(delta, at: address) }
        guard offset == delta.received else { return .resume(round: number, received: delta.received) }
        guard delta.received + bytes.count <= delta.manifest.bytes else {
            return try refuse(site, number, .wrongSize, delta)
        }
        let longer = try store.appendToDelta(delta, bytes, atMilliseconds: now())
        guard longer.isComplete else { return .resume(round: number, received: longer.received) }
        return inspect(longer, at: address)
    }

    /// Puts a complete delta on the workbench; the answer comes when it is off again.
    private func inspect(_ delta: ReceivedDelta, at address: ReturnAddress) -> ToSite? {
        let key = DeltaKey(delta)
        if waiting[key] == nil {
            do {
                guard let round = try store.round(delta.round),
                    let model = try store.model(package: round.base.package),
                    let active = try store.activeRound(package: round.base.package), active.round.number == delta.round
                else { return refused(delta.site, delta.round, .roundClosed) }
                workbench.inspect(
                    delta,
                    with: DeltaInspection(
                        file: store.upload(round: delta.round, site: delta.site), manifest: delta.manifest,
                        base: store.blobs.file(round.base.parameters), trains: model.manifest.training.parameters,
                        bounds: bounds,
                        steps: StepBound(
                            active.config, examples: delta.manifest.examples,
                            cohort: try store.cohortLabels(round: delta.round))))
            } catch {
                return hubFault(error)
            }
        }
        // A site asks again when it has lost its connection; only its newest few addresses can still be alive.
        waiting[key] = Array(((waiting[key] ?? []).filter { $0 != address } + [address]).suffix(4))
        return nil
    }

    /// What the sites that wait for an inspection are told.
    func answers(
        to delta: ReceivedDelta, of outcome: Result<DeltaInspection.Fault?, any Error>
    ) -> [(ReturnAddress, ToSite)] {
        let addresses = waiting.removeValue(forKey: DeltaKey(delta)) ?? []
        let answer: ToSite
        do {
            let fault =
                try outcome.get()
                ?? store.acceptDelta(delta, atMilliseconds: now()).map(DeltaInspection.Fault.refused)
            switch fault {
            case .refused(let reason):
                try store.refuse(
                    site: delta.site, round: delta.round, reason: reason.rawValue, delta: delta, atMilliseconds: now())
                logRefusal(delta.site, delta.round, reason)
                answer = refused(delta.site, delta.round, reason)
            case .outOfLine(let fault):
                try store.keepOut([delta.site: fault], round: delta.round, atMilliseconds: now())
                logRefusal(delta.site, delta.round, .outOfLine, "\(fault)")
                answer = refused(delta.site, delta.round, .outOfLine)
            case nil:
                logger.notice(
                    "delta accepted",
                    metadata: [
                        "site": "\(delta.site)", "round": "\(delta.round)", "delta": "\(delta.hash.short)",
                        "examples": "\(delta.manifest.examples)",
                    ])
                answer = .accepted(round: delta.round)
            }
        } catch {
            answer = hubFault(error)
        }
        return addresses.map { ($0, answer) }
    }

    private func refuse(_ site: Site, _ round: Int, _ reason: DeltaRefusal, _ delta: ReceivedDelta? = nil) throws
        -> ToSite
    {
        try store.refuse(
            site: site.name, round: round, reason: reason.rawValue, delta: delta, atMilliseconds: now())
        logRefusal(site.name, round, reason)
        return refused(site.name, round, reason)
    }

    private func refused(_ site: String, _ round: Int, _ reason: DeltaRefusal) -> ToSite {
        .refused(round: round, reason: takeAnyReason.contains(site) ? reason : reason.forFirstRelease)
    }

    private func logRefusal(_ site: String, _ round: Int, _ reason: DeltaRefusal, _ why: String? = nil) {
        var metadata: Logger.Metadata = ["site": "\(site)", "round": "\(round)", "reason": "\(reason.rawValue)"]
        metadata["why"] = why.map { "\($0)" }
        logger.warning("delta refused", metadata: metadata)
    }

    private func hubFault(_ error: any Error) -> ToSite {
        logger.error("the hub cannot do what a site asked for", metadata: ["error": "\(error)"])
        return .error(name: "hub-fault", text: "the hub has a fault of its own; ask again later")
    }
}
