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
    private let settings: WorkerSettings
    /// Under which the hub's audit log is known: its key, so that another hub is another one.
    private let peer: String
    /// Up to which entry of this site's audit log the hub wants a proof; negative for none.
    private let askedByHub = Atomic<Int>(-1)
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

    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeup.signal()
        thread.join()
    }

    private func run(_ connection: HubConnection) {
        var named: Set<Hash> = []
        var problem = ""
        while !isStopping {
            do {
                named = try exchange(connection, reporting: named)
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
    ///
    /// - Parameter packages: the ones that the hub has named; about others it hears nothing.
    private func exchange(_ connection: HubConnection, reporting packages: Set<Hash>) throws -> Set<Hash> {
        var state = try hello(connection, packages)
        let named = Set(state.models.map(\.version.package))
        for model in state.models { try take(model, connection) }
        // The hub opens a round only for sites whose labels it knows about.
        if named != packages { state = try hello(connection, named) }
        var rounds: [Hash: RoundConfig] = [:]
        for model in state.models { rounds[model.version.package] = model.round }
        room.setRounds(rounds)
        board.updateFederation {
            $0.state = "connected"
            $0.site = state.site
            $0.round = state.models.compactMap(\.round?.round).first
            $0.problem = nil
        }
        try sendDeltas(connection)
        try sendReports(connection)
        return named
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
                let canTrain = counts.trainingPresent > 0 && counts.trainingAbsent > 0
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
