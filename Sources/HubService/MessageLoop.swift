// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import HubStore
import Logging
import Rounds
import Synchronization
import ZeroMQ

/// The one thread that owns the hub's socket and everything that changes with a message or with time.
final class MessageLoop: Sendable {
    private let configuration: HubConfiguration
    private let store: HubStore
    private let keys: CurveKeyPair
    private let strategy: any Strategy
    private let now: Clock
    private let logger: Logger
    private let wakeup: Wakeup
    private let stopping = Atomic<Bool>(false)
    private let bound = Mutex<Result<String, any Error>?>(nil)

    /// A message counted under this reason could not be read.
    static let badMessage = "bad-message"

    /// Answers that wait for one site; a site asks and waits for its answer.
    private static let waitingMessages: Int32 = 16
    /// Of questions of one site that are not read yet.
    private static let unreadBytes = UInt64(8 * FederationLimits.frameBytes)
    private static let messagesBetweenTicks = 256

    init(
        configuration: HubConfiguration, store: HubStore, keys: CurveKeyPair, strategy: any Strategy,
        now: @escaping Clock, logger: Logger
    ) throws {
        self.configuration = configuration
        self.store = store
        self.keys = keys
        self.strategy = strategy
        self.now = now
        self.logger = logger
        wakeup = try Wakeup()
    }

    /// Any thread: the loop ends soon.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeup.signal()
    }

    /// The endpoint with the port that was chosen for `*`, or why it could not be bound; nil until it is known.
    var endpoint: Result<String, any Error>? { bound.withLock { $0 } }

    /// Runs until `stop`. The socket, the front desk and the clerk live on this thread only.
    func run() {
        do {
            let context = try Context()
            let door = DoorLog(store: store, logger: logger)
            let doorkeeper = try Doorkeeper(in: context) { door.admit($0) }
            defer { doorkeeper.stop() }
            let socket = try Socket(.router, in: context)
            let limiter = try ConnectionLimiter(
                of: socket, named: "sites", in: context, limits: ConnectionLimits(unreadBytes: Self.unreadBytes)
            ) { door.note($0) }
            defer { limiter.stop() }
            try listen(on: socket)
            bound.withLock { $0 = .success(socket.lastEndpoint) }
            let workbench = Workbench(wakeup: wakeup)
            let desk = FrontDesk(
                store: store, workbench: workbench, bounds: configuration.settings.bounds, now: now, logger: logger)
            let clerk = RoundClerk(
                store: store, workbench: workbench, strategy: strategy, settings: configuration.settings, now: now,
                logger: logger)
            var budget = RequestBudget()
            while !stopping.load(ordering: .relaxed) {
                try waitForInput(on: [socket], or: wakeup, timeoutMilliseconds: configuration.tickMilliseconds)
                for _ in 0..<Self.messagesBetweenTicks {
                    guard let frames = try socket.receive(mostFrames: FederationLimits.frames + 2) else {
                        limiter.drained()
                        break
                    }
                    limiter.heard(frames.dropFirst())
                    serve(frames, on: socket, desk, door, &budget)
                }
                attempt("take results") { try handIn(workbench.take(), on: socket, desk, clerk) }
                attempt("write down who was heard") {
                    try desk.flushPresence()
                    try door.flush(atMilliseconds: now())
                    for (key, count) in budget.takeRefused() {
                        guard let site = try store.site(publicKey: key) else { continue }
                        try store.refuse(
                            site: site.name, round: 0, reason: RequestBudget.refusal, count: count,
                            atMilliseconds: now())
                    }
                }
                attempt("look after the rounds") { try clerk.tick() }
            }
            attempt("write down who was heard") { try desk.flushPresence() }
        } catch {
            logger.critical("the hub's message thread ended", metadata: ["error": "\(error)"])
            bound.withLock { $0 = .failure(error) }
        }
    }

    private func listen(on socket: Socket) throws {
        try socket.serveCurve(keys)
        try socket.setSendHighWaterMark(messages: Self.waitingMessages)
        try socket.setMaximumFrame(bytes: Int64(FederationLimits.frameBytes))
        try socket.setKeepAlive()
        try socket.bind(configuration.endpoint)
    }

    /// Identity, then the message. A connection's user id is the public key that the doorkeeper let in.
    private func serve(
        _ frames: [Frame], on socket: Socket, _ desk: FrontDesk, _ door: DoorLog, _ budget: inout RequestBudget
    ) {
        guard let address = frames.first?.bytes, let key = frames.last?.userID else { return }
        // Before anything is read or looked up.
        guard budget.takes(key, atMilliseconds: now()) else {
            reply(
                .error(
                    name: RequestBudget.refusal,
                    text: "more than \(Int(RequestBudget.perSecond)) requests a second; ask again in a second"),
                address,
                socket)
            return
        }
        attempt("answer a site") {
            guard let site = try store.site(publicKey: key) else { return }
            if site.isRevoked {
                // Let in before it was revoked: libzmq cannot be told to hang up, so it is told nothing else.
                door.count(site.name, DoorLog.revokedKey)
                reply(
                    .error(name: "revoked", text: "this site's key was revoked; ask the hub's operator"), address,
                    socket)
                return
            }
            let message: ToHub
            do throws(FederationError) {
                message = try ToHub(frames: frames.dropFirst())
            } catch {
                door.count(site.name, Self.badMessage, "\(error)")
                reply(.error(name: error.name, text: "\(error)"), address, socket)
                return
            }
            do {
                if let answer = try desk.answer(message, from: site, at: address) { reply(answer, address, socket) }
            } catch {
                logger.error(
                    "the hub cannot do what a site asked for",
                    metadata: ["site": "\(site.name)", "error": "\(error)"])
                reply(
                    .error(name: "hub-fault", text: "the hub has a fault of its own; ask again later"), address, socket)
            }
        }
    }

    private func handIn(_ results: [Workbench.Result], on socket: Socket, _ desk: FrontDesk, _ clerk: RoundClerk) throws
    {
        for result in results {
            switch result {
            case .inspected(let delta, let outcome):
                for (address, answer) in desk.answers(to: delta, of: outcome) { reply(answer, address, socket) }
            case .aggregated(let round, let outcome): try clerk.finish(round: round, outcome)
            }
        }
    }

    /// A site that is gone or does not read misses its answer and asks again.
    private func reply(_ answer: ToSite, _ address: [UInt8], _ socket: Socket) {
        attempt("send an answer") { _ = try socket.send([Frame(address)] + answer.frames()) }
    }

    /// A fault costs one step, never the loop.
    private func attempt(_ what: String, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            logger.error("cannot \(what)", metadata: ["error": "\(error)"])
        }
    }
}
