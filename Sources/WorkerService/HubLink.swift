// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Logging
import ModelPackage
import Synchronization
import WorkerStore
import ZeroMQ

/// The site's end of the federation: one thread that asks the hub what there is to do, fetches models, and sends deltas
/// and decisions from the database until the hub has them.
///
/// Everything that is sent is a `ToHub` message: counts, hashes, metrics and parameters.
final class HubLink: Sendable {
    let store: WorkerStore
    let shelf: ModelShelf
    let room: TrainingRoom
    let board: StatusBoard
    let log: Logger
    let timepiece: Timepiece
    let disk: HubDisk
    /// Of the hub.
    let endpoint: String
    private let settings: WorkerSettings
    /// Under which the hub's audit log is known: its key, so that another hub is another one.
    private let peer: String
    /// Up to which entry of this site's audit log the hub wants a proof; negative for none.
    private let askedByHub = Atomic<Int>(-1)
    private let decided = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let wakeup: Wakeup
    private let thread = OwnThread()

    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - hub, hubKey: endpoint and public key of the hub.
    ///   - keys: this site's keys.
    init(
        settings: WorkerSettings, hub: String, hubKey: String, keys: CurveKeyPair, context: Context,
        store: WorkerStore, shelf: ModelShelf, room: TrainingRoom, board: StatusBoard, timepiece: Timepiece, log: Logger
    ) throws {
        self.settings = settings
        endpoint = hub
        disk = HubDisk(settings, store: store)
        self.store = store
        self.shelf = shelf
        self.room = room
        self.board = board
        self.timepiece = timepiece
        self.log = log
        peer = "hub \(hubKey)"
        let peer = peer
        let rewrittenAt = (try? store.read { try $0.hubLogRewritten(peer) }) ?? nil
        board.updateFederation { $0.hubLogRewrittenAtMs = rewrittenAt }
        wakeup = try Wakeup()
        let transcript = try settings.transcript.map { NotShared(try Transcript($0)) }
        try thread.start { [self] in
            let connection = HubConnection(
                endpoint: hub, hubKey: hubKey, keys: keys, context: context, wakeup: wakeup,
                transcript: transcript?.value, timepiece: timepiece)
            self.run(connection)
        }
    }

    private struct NotShared<Value>: @unchecked Sendable {
        // Handed to the link's thread and used there alone.
        let value: Value

        init(_ value: Value) { self.value = value }
    }

    /// There is something to tell the hub.
    func ring() { wakeup.signal() }

    /// An administrator has decided something about packages: what failed before is tried at once.
    func reconsider() {
        decided.store(true, ordering: .relaxed)
        ring()
    }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeup.signal()
        thread.join()
    }

    /// What the thread keeps from one turn to the next.
    private struct Memory {
        /// The packages that the hub has named; about others it hears nothing.
        var named: Set<Hash> = []
        var pauses = DownloadPauses()
        var declined = DeclinedRounds()
        /// `WorkerTransaction.modelDecisions`
        var decisions: [String] = []
        var isSwept = false
    }

    private func run(_ connection: HubConnection) {
        var memory = Memory()
        var problem = ""
        while !isStopping {
            do {
                if decided.exchange(false, ordering: .relaxed) {
                    memory.pauses.forget()
                    memory.isSwept = false
                }
                try exchange(connection, &memory)
                if !problem.isEmpty { log.info("the hub answers again") }
                problem = ""
            } catch HubConnection.Failure.stopped {
                return
            } catch {
                let text = "\(error)"
                if text != problem { log.warning("federation: \(text)") }
                problem = text
                board.updateFederation {
                    $0.state = "failed"
                    $0.problem = text
                }
            }
            count(connection)
            try? waitForInput(on: [], or: wakeup, timeoutMilliseconds: Int(settings.hubSeconds * 1000))
        }
    }

    /// One turn: hello, then whatever follows from the answer.
    private func exchange(_ connection: HubConnection, _ memory: inout Memory) throws {
        var state = try hello(connection, memory.named)
        try sweepIncoming(state.models)
        let problem = try take(state.models, &memory.pauses, connection)
        let packages = memory.named
        memory.named = Set(state.models.map(\.version.package))
        let decisions = try store.read { try $0.modelDecisions() }
        let isChanged = decisions != memory.decisions
        memory.decisions = decisions
        // The hub opens a round only for sites whose labels it knows about.
        if memory.named != packages || isChanged { state = try hello(connection, memory.named) }
        let rounds = try admittedRounds(state, &memory.declined)
        room.setRounds(rounds)
        board.updateFederation {
            $0.state = "connected"
            $0.site = state.site
            $0.round = rounds.values.map(\.round).min()
            $0.problem = problem
            $0.declined = memory.declined.current
        }
        if isChanged { memory.isSwept = false }
        if !memory.isSwept {
            memory.isSwept = try store.sweepModels(needed: Set(state.models.compactMap(\.round?.base.parameters)))
        }
        try sendDeltas(connection)
        try sendReports(connection)
    }

    /// The open rounds of active packages that ask for nothing that this site does not allow.
    private func admittedRounds(_ state: HubState, _ declined: inout DeclinedRounds) throws -> [Hash: RoundConfig] {
        let active = try store.read { try $0.activePackages() }
        var rounds: [Hash: RoundConfig] = [:]
        var refused: [DeclinedRounds.Round] = []
        for model in state.models {
            let package = model.version.package
            guard let round = model.round, let row = active.first(where: { $0.package == package }) else { continue }
            if let refusal = settings.limits.refusal(of: round, package: package) {
                refused.append(
                    .init(model: row.name, round: round.round, reason: refusal.reason.rawValue, text: refusal.text))
            } else {
                rounds[package] = round
            }
        }
        for round in declined.replace(with: refused, at: timepiece.monotonic()) {
            log.warning("round \(round.round) of \(round.model) is declined: \(round.text)")
            try store.write {
                try $0.audit(
                    "round-declined",
                    ["name": round.model, "round": String(round.round), "reason": round.reason, "why": round.text])
            }
        }
        return rounds
    }

    private func hello(_ connection: HubConnection, _ packages: Set<Hash>) throws -> HubState {
        let states = try store.read { transaction in
            try transaction.activePackages().compactMap { row -> SiteState.PackageState? in
                guard packages.contains(row.package), let live = try transaction.liveVersion(package: row.package)
                else {
                    return nil
                }
                let findings = try row.decodedManifest().findings.map(\.name)
                let counts = try transaction.labelCounts(package: row.package.hex, findings: findings)
                // Without both classes there is nothing to train on, and the hub should not wait for this site.
                let canTrain =
                    counts.trainingPresent > 0 && counts.trainingAbsent > 0
                    && counts.training >= settings.limits.trainingStudiesLeast
                return SiteState.PackageState(
                    package: row.package, live: live.version.id, trainingLabels: canTrain ? counts.training : 0,
                    newLabels: canTrain ? counts.new : 0, heldOutLabels: counts.heldOut,
                    labelledStudies: canTrain ? try transaction.labelledStudies(findings: findings) : 0)
            }
        }
        let asked = askedByHub.load(ordering: .relaxed)
        let audit = try store.read { try $0.auditStatement(to: peer, asked: asked < 0 ? nil : asked) }
        let answer = try ask(
            .hello(
                SiteState(
                    version: GatewayLink.programVersion, packages: states, capabilities: [SiteState.takesAnyReason],
                    audit: audit)), connection)
        guard case .welcome(let state) = answer else { throw HubConnection.Failure.unexpected("\(answer)") }
        try note(state.audit)
        return state
    }

    /// Compares how far the hub's audit log goes with what it said before.
    private func note(_ statement: AuditStatement?) throws {
        guard let statement else { return }
        askedByHub.store(statement.asks ?? -1, ordering: .relaxed)
        if try store.read({ try $0.isKnown(statement, of: peer) }) { return }
        let now = timepiece.unix()
        guard let fault = try store.write({ try $0.witness(statement, of: peer, atMilliseconds: now) }) else { return }
        log.error("federation: \(fault)")
        board.updateFederation { $0.hubLogRewrittenAtMs = now }
    }

    func ask(_ message: ToHub, _ connection: HubConnection) throws -> ToSite {
        try connection.ask(message, isStopping: { self.isStopping })
    }

    private func count(_ connection: HubConnection) {
        board.updateFederation {
            $0.bytesSent = connection.bytesSent
            $0.bytesReceived = connection.bytesReceived
        }
    }
}
