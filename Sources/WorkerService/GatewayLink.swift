// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import Synchronization
import Wire
import WorkerStore
import ZeroMQ

/// The worker's end of the hand-over: one ROUTER socket, its thread, and mailboxes to and from it.
///
/// What comes in goes to `deliveries` (instances), `results` (what the report room asked for) and `events` (the rest); what goes out is put into a mailbox
/// by any thread. Messages to a gateway that cannot take them now wait for it, bounded.
final class GatewayLink: Sendable {
    private struct Outgoing {
        var message: ToGateway
        var payload: [UInt8]
    }

    private struct Mailbox {
        var byGateway: [String: [Outgoing]] = [:]
        var isCreditDue = false
    }

    /// What one thread knows about the gateways; lives on that thread.
    private struct Peers {
        var identities: [String: [UInt8]] = [:]
        var names: [[UInt8]: String] = [:]
        var sessions: [String: String] = [:]
        var heardAt: [String: ContinuousClock.Instant] = [:]
        /// Connected by name, but silent: without credit until they speak again.
        var silent: Set<String> = []
        /// Sessions that gave way to a newer one of the same name; they do not come back.
        var replaced: Set<String> = []
        /// Names that were found to be used by two gateways at once.
        var shared: Set<String> = []
        var older = OlderGateways()
        var unreadable = 0

        /// The identities of those that are not silent.
        var speaking: [[UInt8]] { identities.compactMap { silent.contains($0.key) ? nil : $0.value } }
    }

    /// A gateway that said nothing for so long leaves its credit to the others; it says hello every second. It may have
    /// been killed, or its disk may hold it up: what it sends later is taken as if it had not been silent, since it does
    /// not know that it was.
    private let silence: Duration

    /// Program version in hellos.
    static let programVersion = "0.1.0"
    /// More than that waits only for a gateway that is gone; it sends again what it does not hear about.
    private static let mostWaiting = 20_000

    private let settings: WorkerSettings
    private let ledger: ArrivalLedger
    private let deliveries: Conveyor<Delivery>
    private let events: Conveyor<DeskEvent>
    private let results: Conveyor<ReportEvent>
    private let log: Logger
    private let door: GatewayDoor
    private let limiter: ConnectionLimiter
    private let receipts: @Sendable () throws -> ReceiptBook
    private let session = UUID().uuidString.lowercased()
    private let mailbox = Mutex(Mailbox())
    private let isScoring = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private let wakeup: Wakeup
    private let thread = OwnThread()
    /// The endpoint that is bound, with the port that was chosen for `*`.
    let endpoint: String
    private let connected = Mutex<Set<String>>([])

    /// Binds and starts the thread.
    ///
    /// - Parameters:
    ///   - silence: after which a gateway leaves its credit to the others.
    ///   - receipts: what the database holds now.
    /// - Throws: `ZeroMQError` when the endpoint cannot be bound, `GatewayLinkError` when its place cannot be used,
    ///   `CurveKeyFileError` and `SettingsError` for keys.
    init(
        settings: WorkerSettings, context: Context, ledger: ArrivalLedger, deliveries: Conveyor<Delivery>,
        events: Conveyor<DeskEvent>, results: Conveyor<ReportEvent>, log: Logger, silence: Duration = .seconds(15),
        receipts: @escaping @Sendable () throws -> ReceiptBook
    ) throws {
        self.settings = settings
        self.receipts = receipts
        self.silence = silence
        self.ledger = ledger
        self.deliveries = deliveries
        self.events = events
        self.results = results
        self.log = log
        wakeup = try Wakeup()
        door = try GatewayDoor(settings: settings, log: log)
        // The socket may move to the thread before anything is done with it (zmq_socket(3): with a full fence).
        let socket = try Socket(.router, in: context)
        limiter = try ConnectionLimiter(
            of: socket, named: "gateways-\(session)", in: context, limits: settings.connectionLimits
        ) { [door] in
            switch $0 {
            case .refused: door.countRefusal("a connection without a known key")
            case .ended(let reason, let user):
                door.countRefusal("a connection was ended: \(reason.rawValue)\(user.isEmpty ? "" : " of \(user)")")
            }
        }
        do {
            try door.guardSocket(socket, in: context)
            try Self.bind(socket, settings)
            endpoint = socket.lastEndpoint
            let handed = Handed(socket)
            try thread.start { [self] in self.run(handed.socket) }
        } catch {
            limiter.stop()
            door.stop()
            throw error
        }
    }

    private struct Handed: @unchecked Sendable {
        // Used by the thread that made it until the new thread starts, then by that one alone.
        let socket: Socket

        init(_ socket: Socket) { self.socket = socket }
    }

    /// Connections and messages that were turned away since start.
    var refusedCount: Int { door.refusedCount }

    /// The names of the gateways that have spoken in this process's life and not said bye.
    var gateways: Set<String> { connected.withLock { $0 } }

    /// Puts a message into the mailbox of a gateway.
    func send(_ message: ToGateway, payload: [UInt8] = [], to gateway: String) {
        mailbox.withLock { mailbox in
            var waiting = mailbox.byGateway[gateway] ?? []
            // Only the newest status is worth sending.
            if message == .modelStatus { waiting.removeAll { $0.message == .modelStatus } }
            waiting.append(Outgoing(message: message, payload: payload))
            if waiting.count > Self.mostWaiting { waiting.removeFirst(waiting.count - Self.mostWaiting) }
            mailbox.byGateway[gateway] = waiting
        }
        wakeup.signal()
    }

    /// Grants credit while at least one model is live, else none, so that the backlog stays safe in the gateway.
    func setScoring(_ isScoring: Bool) {
        guard self.isScoring.exchange(isScoring, ordering: .relaxed) != isScoring else { return }
        mailbox.withLock { $0.isCreditDue = true }
        wakeup.signal()
    }

    /// Says bye and ends the thread.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        wakeup.signal()
        thread.join()
        limiter.stop()
        door.stop()
    }

    // MARK: The socket's thread

    private func run(_ socket: Socket) {
        var peers = Peers()
        while !isStopping.load(ordering: .relaxed) {
            do {
                let isFull = deliveries.bytes > 2 * settings.memoryMegabytes << 20
                try waitForInput(on: isFull ? [] : [socket], or: wakeup, timeoutMilliseconds: isFull ? 20 : 200)
                // A bounded number, so that acknowledgements go out while a burst comes in.
                for _ in 0..<64 where !isFull {
                    guard let frames = try socket.receive(mostFrames: mostFrames) else {
                        limiter.drained()
                        break
                    }
                    try receive(frames, &peers, socket)
                }
                // While the socket is not read, nobody can be heard.
                if !isFull { noteSilence(&peers) }
                try sendWaiting(&peers, socket)
            } catch {
                log.error("gateway socket: \(error)")
                usleep(100_000)
            }
        }
        for identity in peers.identities.values { _ = try? socket.send(Self.frames(identity, .bye)) }
        // Closing a socket drops what is unsent (linger 0); a bye is a courtesy and gets a moment.
        usleep(20_000)
    }

    private func receive(_ frames: [Frame], _ peers: inout Peers, _ socket: Socket) throws(ZeroMQError) {
        guard frames.count >= 2, let payload = frames.last else { return }
        limiter.heard(frames.dropFirst())
        let identity = frames[0].bytes
        let message: ToWorker
        let pieces: [Frame]
        do throws(WireError) {
            guard frames.count >= 3 else { throw .empty }
            guard frames.count <= mostFrames else { throw .tooManyFields(frames.count) }
            let first = frames[1].count <= Envelope.longestFieldBytes ? frames[1].bytes : []
            let texts = frames[1...].prefix(Envelope.textFrames(first: first, count: frames.count - 1))
            // Checked before any copy: the payload may be large, the text frames may not.
            for text in texts where text.count > Envelope.longestFieldBytes { throw .fieldTooLong(text.count) }
            message = try ToWorker(Envelope(frames: texts.map(\.bytes)))
            pieces = Array(frames[texts.endIndex...])
        } catch {
            peers.unreadable += 1
            // One line for the first and then for each power of ten: a peer cannot fill the log.
            if [1, 10, 100, 1_000, 10_000, 100_000].contains(peers.unreadable) {
                log.warning("message \(peers.unreadable) that cannot be read: \(error)")
            }
            _ = try socket.send(Self.frames(identity, .error(name: error.name, text: error.description)))
            return
        }
        if let gateway = peers.names[identity] { hear(gateway, &peers) }
        if case .hello(let gateway, let session, let version, let receipts) = message {
            try greet(gateway, session, version, receipts, identity, payload, &peers, socket)
            return
        }
        // The name goes with the key for each message: identities are the peer's own choice.
        if let gateway = peers.names[identity], !door.admits(payload, as: gateway) {
            door.countRefusal("a message under another gateway's identity")
            return
        }
        guard let gateway = peers.names[identity] else {
            // It spoke to a worker before this one: our session tells it to begin anew.
            if let hello { _ = try socket.send(Self.frames(identity, hello, Array(Capabilities.current.text.utf8))) }
            return
        }
        switch message {
        case .hello: break
        case .instance(let sequence, let instance, let receivedAt, _):
            let ticket = ledger.arrive(gateway: gateway, receivedAt: receivedAt)
            let arrival = Arrival(
                gateway: gateway, sequence: sequence, gatewayInstance: instance.text, receivedAt: receivedAt,
                ticket: ticket)
            nonisolated(unsafe) let frames = pieces
            // Never waits here: this conveyor has no bound of its own, the thread stops receiving instead.
            deliveries.put(Delivery(pieces: frames, arrival: arrival), bytes: pieces.byteCount)
        case .studyComplete(let study):
            let key = StudyKey(gateway: gateway, studyInstanceUID: study)
            events.put(.studyComplete(study: key, mark: ledger.mark(gateway)))
        case .review(let id): events.put(.review(gateway: gateway, id: id, document: Data(payload.bytes)))
        case .flagAck(let flag, let revision, let held, let report, let receipt):
            events.put(
                .flagAck(
                    gateway: gateway, flag: flag, revision: revision, held: held, report: report, receipt: receipt))
        case .bye:
            forget(gateway, &peers)
            log.info("gateway \(gateway) said bye")
        case .fetched(let request, _, let isFound):
            let isUsable = isFound && pieces.byteCount <= settings.instanceMegabytes << 20
            results.put(.fetched(request: request, file: isUsable ? Data(pieces) : nil))
        case .resultAck(let object, let accepted, let reason, let receipt):
            results.put(
                .acknowledged(gateway: gateway, object: object, refusal: accepted ? nil : reason, receipt: receipt))
        case .error(let name, let text): log.warning("gateway \(gateway) could not read a message: \(name): \(text)")
        }
    }

    private func hear(_ gateway: String, _ peers: inout Peers) {
        peers.heardAt[gateway] = .now
        guard peers.silent.remove(gateway) != nil else { return }
        log.info("gateway \(gateway) speaks again")
        connected.withLock { _ = $0.insert(gateway) }
        mailbox.withLock { $0.isCreditDue = true }
    }

    private func forget(_ gateway: String, _ peers: inout Peers) {
        if let identity = peers.identities.removeValue(forKey: gateway) { peers.names[identity] = nil }
        peers.heardAt[gateway] = nil
        peers.silent.remove(gateway)
        _ = connected.withLock { $0.remove(gateway) }
        mailbox.withLock { $0.isCreditDue = true }
    }

    /// A gateway that was killed says no bye.
    private func noteSilence(_ peers: inout Peers) {
        let now = ContinuousClock.now
        for (gateway, heardAt) in peers.heardAt where now - heardAt > silence {
            peers.heardAt[gateway] = nil
            peers.silent.insert(gateway)
            _ = connected.withLock { $0.remove(gateway) }
            mailbox.withLock { $0.isCreditDue = true }
            log.warning("gateway \(gateway) has said nothing for \(silence.components.seconds) s")
        }
    }

    private func greet(
        _ gateway: String, _ session: String, _ version: String, _ receipts: ReceiptBook, _ identity: [UInt8],
        _ payload: Frame, _ peers: inout Peers, _ socket: Socket
    ) throws(ZeroMQError) {
        guard !gateway.isEmpty else {
            _ = try socket.send(Self.frames(identity, .error(name: "bad-value", text: "hello without a gateway name")))
            return
        }
        guard door.admits(payload, as: gateway) else {
            door.countRefusal("the key of gateway \(payload.userID ?? "") spoke as another gateway")
            let text = "this key belongs to gateway \(payload.userID ?? ""); set the gateway's Name to that"
            _ = try socket.send(Self.frames(identity, .error(name: "not-your-name", text: text)))
            return
        }
        // Who cannot say what it still knows says nothing; the gateway asks again in a second.
        guard let hello else { return }
        if peers.replaced.contains(session) {
            let text = "another gateway is called \(gateway) too; give each its own Name"
            if peers.shared.insert(gateway).inserted { log.error("two gateways are called \(gateway); \(text)") }
            _ = try socket.send(Self.frames(identity, .error(name: "name-taken", text: text)))
            return
        }
        if let before = peers.sessions[gateway], before != session { peers.replaced.insert(before) }
        let isNew = peers.sessions[gateway] != session || peers.identities[gateway] != identity
        if isNew {
            log.info("gateway \(gateway) (\(version)) is connected")
            if let old = peers.identities[gateway] { peers.names[old] = nil }
        }
        peers.identities[gateway] = identity
        peers.names[identity] = gateway
        peers.sessions[gateway] = session
        hear(gateway, &peers)
        let isFirst = connected.withLock { $0.insert(gateway).inserted }
        _ = try socket.send(Self.frames(identity, hello, Array(Capabilities.current.text.utf8)))
        let capabilities = Capabilities(payload.count <= Capabilities.longestBytes ? payload.text : "")
        if let complaint = peers.older.met(gateway, session, capabilities, isNew: isNew) {
            log.error("gateway \(gateway): \(complaint)")
            _ = try socket.send(Self.frames(identity, .error(name: OlderGateways.errorName, text: complaint)))
        }
        _ = try socket.send(Self.frames(identity, .credit(bytes: credit(gateway, peers))))
        if isFirst { mailbox.withLock { $0.isCreditDue = true } }
        events.put(.gatewayHello(gateway: gateway, isNew: isNew, receipts: receipts))
        if isNew { results.put(.gatewayHello(gateway: gateway, receipts: receipts)) }
    }

    /// Nil while the database cannot be read.
    private var hello: ToGateway? {
        guard let receipts = try? receipts() else { return nil }
        return .hello(worker: settings.name, session: session, version: Self.programVersion, receipts: receipts)
    }

    private func credit(_ gateway: String, _ peers: Peers) -> Int64 {
        guard isScoring.load(ordering: .relaxed), !peers.older.isHeld(gateway) else { return 0 }
        return Int64(settings.memoryMegabytes) << 20 / Int64(max(1, peers.speaking.count))
    }

    /// Of one message: an instance in pieces, with some room for gateways that cut smaller ones.
    private var mostFrames: Int { settings.instanceMegabytes + 256 }

    private func sendWaiting(_ peers: inout Peers, _ socket: Socket) throws(ZeroMQError) {
        let (waiting, isCreditDue) = mailbox.withLock { mailbox in
            defer { mailbox = Mailbox() }
            return (mailbox.byGateway, mailbox.isCreditDue)
        }
        if isCreditDue {
            for (gateway, identity) in peers.identities where !peers.silent.contains(gateway) {
                _ = try socket.send(Self.frames(identity, .credit(bytes: credit(gateway, peers))))
            }
        }
        for (gateway, messages) in waiting {
            var sent = 0
            if let identity = peers.identities[gateway] {
                for outgoing in messages {
                    guard try socket.send(Self.frames(identity, outgoing.message, outgoing.payload)) else { break }
                    sent += 1
                }
            }
            let rest = messages.dropFirst(sent)
            if !rest.isEmpty {
                mailbox.withLock { $0.byGateway[gateway] = rest + ($0.byGateway[gateway] ?? []) }
            }
        }
    }

    private static func frames(_ identity: [UInt8], _ message: ToGateway, _ payload: [UInt8] = []) -> [Frame] {
        [Frame(identity)] + message.envelope.frames.map { Frame($0) } + [Frame(payload)]
    }

    private static func bind(_ socket: Socket, _ settings: WorkerSettings) throws {
        let endpoint = settings.endpoint
        try socket.setRouterMandatory()
        try socket.setRouterHandover()
        try socket.setMaximumFrame(bytes: settings.largestFrameBytes)
        guard endpoint.hasPrefix("ipc://") else {
            try socket.setKeepAlive()
            try socket.bind(endpoint)
            return
        }
        let file = EndpointFile(path: String(endpoint.dropFirst("ipc://".count)))
        try file.prepare()
        // Between bind and chmod nobody else may connect either.
        let mask = umask(0o177)
        defer { umask(mask) }
        try socket.bind(endpoint)
        chmod(file.path, 0o600)
    }
}
