// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The ZAP handler of a context (ZeroMQ RFC 27): decides by public key who may connect, before any message is read.
///
/// Create it before the CURVE server socket binds. Runs on a thread of its own until `stop()`.
public final class Doorkeeper: Sendable {
    private let stopping = Atomic<Bool>(false)
    private let refusals = Atomic<Int>(0)
    private let admissions = Atomic<Int>(0)
    private let wakeup: Wakeup
    private let thread = Mutex<Thread?>(nil)

    /// Connections refused since start.
    public var refusedConnections: Int { refusals.load(ordering: .relaxed) }

    /// - Parameter admit: called on the handler's thread with the peer's public key (Z85); gives the user id that
    ///   every frame from that peer will carry (`Frame.userID`), or nil to refuse.
    /// - Throws: `ZeroMQError` when the context already has a ZAP handler.
    public init(in context: Context, admit: @escaping @Sendable (_ publicKey: String) -> String?) throws(ZeroMQError) {
        wakeup = try Wakeup()
        // The socket must be bound before the first CURVE connection, and made on the thread that uses it: so bind
        // on the new thread and wait for it.
        let outcome = BindOutcome()
        let thread = Thread { [self] in self.run(context, outcome, admit) }
        try thread.start()
        self.thread.withLock { $0 = thread }
        if let error = outcome.wait() { throw error }
    }

    /// Ends the thread; returns when it has ended.
    public func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeup.signal()
        let thread = self.thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.join()
    }

    private func run(
        _ context: Context, _ outcome: BindOutcome, _ admit: (_ publicKey: String) -> String?
    ) {
        let socket: Socket
        do {
            socket = try Socket(.reply, in: context)
            try socket.bind("inproc://zeromq.zap.01")
            outcome.set(nil)
        } catch {
            outcome.set(error)
            return
        }
        while !stopping.load(ordering: .relaxed) {
            do {
                try waitForInput(on: [socket], or: wakeup, timeoutMilliseconds: -1)
                while let request = try socket.receive() { _ = try socket.send(answer(request, admit)) }
            } catch {
                return
            }
        }
    }

    /// version, request id, domain, address, identity, mechanism, credentials (RFC 27).
    private func answer(_ request: [Frame], _ admit: (_ publicKey: String) -> String?) -> [Frame] {
        let requestID = request.count > 1 ? request[1].bytes : []
        var userID: String?
        if request.count >= 7, request[5].text == "CURVE", let key = z85Key(request[6].bytes) {
            userID = admit(key)
        }
        if userID == nil { refusals.add(1, ordering: .relaxed) }
        let admission = userID.map { Admission(user: $0, number: admissions.add(1, ordering: .relaxed).newValue) }
        return [
            Frame("1.0"), Frame(requestID), Frame(admission == nil ? "400" : "200"),
            Frame(admission == nil ? "unknown key" : "OK"), Frame(admission?.text ?? ""), Frame(),
        ]
    }
}

/// Hands the result of `bind` from the handler's thread to the one that waits for it.
private final class BindOutcome: Sendable {
    private let state = Mutex<ZeroMQError??>(nil)

    func set(_ error: ZeroMQError?) { state.withLock { $0 = .some(error) } }

    func wait() -> ZeroMQError? {
        while true {
            if let outcome = state.withLock({ $0 }) { return outcome }
            usleep(200)
        }
    }
}
