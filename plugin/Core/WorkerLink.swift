// SPDX-License-Identifier: GPL-3.0-or-later
import Wire
import ZeroMQ

/// The way to one worker: attempts to connect, and what is known of the worker behind it. Belongs to the courier's
/// thread.
final class WorkerLink {
    enum Change {
        case connected
        case disconnected
    }

    /// A worker that said nothing for this long is taken for dead; it answers every hello.
    static let silenceMilliseconds: Int64 = 10_000
    static let helloMilliseconds: Int64 = 1_000
    private static let retryMilliseconds: Int64 = 250
    private static let refusedMilliseconds: Int64 = 2_000
    /// For a peer that neither listens nor turns the connection down.
    private static let attemptMilliseconds: Int64 = 10_000

    let address: WorkerAddress
    private let number: Int
    private let keyFile: String
    private let owners: SocketOwners
    private let host: Host
    private let context: Context

    private(set) var connection: WorkerConnection?
    private var attempts = 0
    private var attemptAtSteadyMilliseconds: Int64 = 0
    private var attemptEndsAtSteadyMilliseconds: Int64 = 0
    /// Whether the peer is known to be the worker; nothing is sent or read before.
    private(set) var isConnected = false
    /// Why nothing is sent to this endpoint; empty when nothing is wrong with it.
    private(set) var refusal = ""
    /// Attempts that were refused since start.
    private(set) var refusals = 0

    struct Greeting {
        var worker: String
        var session: String
        var version: String
        var receipts: ReceiptBook
    }

    /// The worker process we agreed with; nil before its hello and after its loss.
    var session: String?
    /// A hello whose receipts are not compared with the database yet. Nothing is read from the link until they are.
    var greeting: Greeting?
    var wasLost = false
    /// Of the last hello that was compared.
    var receipts = ReceiptBook(state: "")
    var name = ""
    var version = ""
    var creditBytes: Int64 = 0
    /// What the worker last said about its models; JSON, empty before the first.
    var models = ""
    /// The last message of the verb error, so that the same one is one log line.
    var lastError = ""
    var load = WorkerLoad()
    var heardAtSteadyMilliseconds: Int64 = 0
    var heardAtMilliseconds: Int64 = 0
    var helloAtSteadyMilliseconds: Int64 = 0
    /// The largest frame in which the worker takes the bytes of an instance; nil: all of them come in one, as a worker of
    /// an older release expects.
    var pieceBytes: Int?

    /// - Parameter keyFile: path of this gateway's secret key; empty when there is none.
    init(_ address: WorkerAddress, number: Int, keyFile: String, owners: SocketOwners, host: Host, in context: Context)
    {
        self.address = address
        self.number = number
        self.keyFile = keyFile
        self.owners = owners
        self.host = host
        self.context = context
    }

    // MARK: Connecting

    /// Begins an attempt when there is no connection and it is time for one.
    ///
    /// - Throws: `ZeroMQError` when sockets are exhausted.
    func connectWhenDue() throws(ZeroMQError) {
        let now = Clock.steadyMilliseconds()
        if connection != nil, !isConnected, now >= attemptEndsAtSteadyMilliseconds { drop() }
        guard connection == nil, now >= attemptAtSteadyMilliseconds else { return }
        attemptAtSteadyMilliseconds = now &+ WorkerLink.retryMilliseconds
        attemptEndsAtSteadyMilliseconds = now &+ WorkerLink.attemptMilliseconds
        var keys: CurveKeyPair?
        if let path = address.socketPath {
            switch owners.judge(path) {
            case .trusted: break
            case .absent: return
            case .refused(let reason): return refuse(reason)
            }
        } else {
            switch gatewayKeys() {
            case .success(let found): keys = found
            case .failure(let reason): return refuse(reason.text)
            }
        }
        attempts &+= 1
        do throws(ZeroMQError) {
            connection = try WorkerConnection(
                to: address, keys: keys, named: "worker-\(number)-\(attempts)", in: context)
        } catch  where error.isBadAddress {
            refuse("the endpoint cannot be used (\(error))")
        }
    }

    private struct Reason: Error {
        var text: String
    }

    /// Read anew for each attempt, so that a key file that was repaired is taken without a restart.
    private func gatewayKeys() -> Result<CurveKeyPair, Reason> {
        if address.publicKey.isEmpty || keyFile.isEmpty {
            let missing =
                address.publicKey.isEmpty ? "WorkerKey (the worker's public key)" : "KeyFile (this gateway's key)"
            return .failure(
                Reason(
                    text: "tcp is used with keys only, and the setting \(missing) is missing; "
                        + "“gantry site keygen” makes keys"))
        }
        do throws(CurveKeyFileError) {
            return .success(try CurveKeyFile.readSecret(path: keyFile))
        } catch {
            return .failure(Reason(text: "\(error)"))
        }
    }

    /// What happened to the connection; nil when there is nothing new.
    func nextChange() throws(ZeroMQError) -> Change? {
        while let connection, let event = try connection.monitor.next() {
            let wasConnected = isConnected
            switch event {
            case .opened(let opened):
                // Nobody there any more: the next attempt asks again.
                guard let opened else {
                    drop()
                    break
                }
                connection.opened(opened)
                guard address.socketPath != nil else { break }
                if !owners.allows(opened.peerUser ?? UInt32.max) {
                    refuse(SocketOwners.strangers(opened.peerUser ?? UInt32.max))
                }
            case .connected:
                isConnected = true
                helloAtSteadyMilliseconds = 0
                heardAtSteadyMilliseconds = Clock.steadyMilliseconds()
                return .connected
            case .refused:
                if address.socketPath == nil {
                    refuse("the peer did not prove that it has the key WorkerKey, or does not take this gateway's key")
                } else {
                    drop()
                }
            case .disconnected, .failed: drop()
            case .accepted: break
            }
            if wasConnected { return .disconnected }
        }
        return nil
    }

    /// The worker was met: nothing is wrong with the endpoint.
    func clearRefusal() { refusal = "" }

    /// Gives the connection up; the next attempt makes a new one.
    func drop() {
        connection = nil
        isConnected = false
        pieceBytes = nil
    }

    /// Whether the peer sends more than can be read.
    func isFlooding() -> Bool { connection?.isFlooding() ?? false }

    /// Ends the connection for a while; one log line for each new reason.
    func refuse(_ reason: String) {
        drop()
        refusals &+= 1
        attemptAtSteadyMilliseconds = Clock.steadyMilliseconds() &+ WorkerLink.refusedMilliseconds
        guard reason != refusal else { return }
        refusal = reason
        host.error("The worker's endpoint \(address.endpoint) is refused: \(reason). Nothing is sent there.")
    }

    // MARK: Instances

    /// What the worker could take at once.
    var freeBytes: Int64 { creditBytes &- Int64(load.bytes) }

    /// Sends the next instance that waits in memory.
    ///
    /// - Parameter limit: most bytes in flight.
    /// - Returns: what was sent; nil when nothing waits, the limit is reached, or it cannot be sent now.
    func sendNext(limit: Int) throws(ZeroMQError) -> Outgoing? {
        guard let next = load.next(limit: limit) else { return nil }
        let message = ToWorker.instance(
            sequence: next.row.sequence, instance: next.row.instance,
            receivedAtMilliseconds: next.row.receivedAtMilliseconds, callingAETitle: next.row.callingAETitle)
        guard try send(message, payload: next.payload) else { return nil }
        load.launch()
        return next
    }

    // MARK: Messages

    /// The next message of a peer that is known to be the worker.
    func receive() throws(ZeroMQError) -> [Frame]? {
        guard isConnected, let connection else { return nil }
        return try connection.receive()
    }

    /// - Returns: false when the message could not be sent now.
    func send(_ message: ToWorker, payload: [Frame]) throws(ZeroMQError) -> Bool {
        guard isConnected, let connection else { return false }
        return try connection.socket.send(message.envelope.frames.map { Frame($0) } + payload)
    }

    /// Sends a message about an instance with its bytes, in frames that the worker takes.
    func send(_ message: ToWorker, payload: Payload) throws(ZeroMQError) -> Bool {
        try send(message, payload: payload.makeFrames(largestBytes: pieceBytes))
    }

    func send(_ message: ToWorker) throws(ZeroMQError) -> Bool { try send(message, payload: [Frame()]) }
}
