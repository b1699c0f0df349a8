// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// A ZeroMQ socket. Belongs to the thread that created it (zmq_socket(3)); deliberately not Sendable.
public final class Socket {
    public enum Kind: Sendable {
        case dealer, router, reply, request, pair

        var raw: Int32 {
            switch self {
            case .dealer: ZMQ_DEALER
            case .router: ZMQ_ROUTER
            case .reply: ZMQ_REP
            case .request: ZMQ_REQ
            case .pair: ZMQ_PAIR
            }
        }
    }

    let raw: UnsafeMutableRawPointer
    // Keeps the context from terminating while the socket lives.
    private let context: Context

    /// - Throws: `ZeroMQError` when the context has no room for another socket.
    public init(_ kind: Kind, in context: Context) throws(ZeroMQError) {
        guard let raw = zmq_socket(context.raw, kind.raw) else { throw .last("create socket") }
        self.raw = raw
        self.context = context
        try set(ZMQ_LINGER, 0, "set linger")
        // What has come waits without a bound of libzmq's own. With one, libzmq stops reading a connection at the
        // bound; when the peer goes at that moment and left a PING behind what was read, libzmq takes it up with an
        // assertion that ends the process (zeromq/libzmq#4364, #3937: in 4.3.4 any peer can do that, with and without
        // heartbeats of ours). So the bounds are ours: `setMaximumFrame`, `ConnectionLimiter`, and owners that read.
        try set(ZMQ_RCVHWM, 0, "switch the receive high water mark off")
    }

    deinit {
        zmq_close(raw)
    }

    // MARK: Addresses

    /// Binds, for example to `ipc:///run/gantry/worker.ipc` or `tcp://127.0.0.1:*`.
    public func bind(_ endpoint: String) throws(ZeroMQError) {
        if zmq_bind(raw, endpoint) != 0 { throw .last("bind \(endpoint)") }
    }

    /// Connects in the background; the peer need not exist yet.
    public func connect(_ endpoint: String) throws(ZeroMQError) {
        if zmq_connect(raw, endpoint) != 0 { throw .last("connect \(endpoint)") }
    }

    /// The endpoint that `bind` resolved, with the port that was chosen for `*`.
    public var lastEndpoint: String {
        var buffer = [UInt8](repeating: 0, count: 1024)
        var size = buffer.count
        guard zmq_getsockopt(raw, ZMQ_LAST_ENDPOINT, &buffer, &size) == 0, size > 1 else { return "" }
        return String(decoding: buffer[..<(size - 1)], as: UTF8.self)
    }

    // MARK: Options

    /// Messages that may wait to be sent to one peer; beyond it `send` reports false.
    public func setSendHighWaterMark(messages: Int32) throws(ZeroMQError) {
        try set(ZMQ_SNDHWM, messages, "set send high water mark")
    }

    /// A peer that sends a larger frame is disconnected.
    public func setMaximumFrame(bytes: Int64) throws(ZeroMQError) {
        var value = bytes
        if zmq_setsockopt(raw, ZMQ_MAXMSGSIZE, &value, MemoryLayout<Int64>.size) != 0 {
            throw .last("set maximum frame size")
        }
    }

    /// On tcp: the system finds out within half a minute that the other machine is gone, whether anything is sent or not.
    ///
    /// Whether the peer's program is alive is for the protocol's own hellos. ZeroMQ's heartbeats are not used: their
    /// timer runs into an assertion of libzmq when a peer goes at the wrong moment (zeromq/libzmq#4364).
    public func setKeepAlive() throws(ZeroMQError) {
        try set(ZMQ_TCP_KEEPALIVE, 1, "switch keep-alive on")
        try set(ZMQ_TCP_KEEPALIVE_IDLE, 10, "set the first keep-alive probe")
        try set(ZMQ_TCP_KEEPALIVE_INTVL, 5, "set the keep-alive interval")
        try set(ZMQ_TCP_KEEPALIVE_CNT, 3, "set the keep-alive count")
        // Milliseconds that sent bytes may stay unacknowledged (tcp(7), TCP_USER_TIMEOUT).
        try set(ZMQ_TCP_MAXRT, 25_000, "set the longest retransmission")
    }

    /// How soon, and at most how late, a lost connection is tried again.
    public func setReconnect(fromMilliseconds: Int32, toMilliseconds: Int32) throws(ZeroMQError) {
        try set(ZMQ_RECONNECT_IVL, fromMilliseconds, "set reconnect interval")
        try set(ZMQ_RECONNECT_IVL_MAX, toMilliseconds, "set longest reconnect interval")
    }

    /// A connection that is lost or never came stays so: the owner of the socket decides about the next attempt.
    public func setSingleConnection() throws(ZeroMQError) {
        try set(ZMQ_RECONNECT_IVL, -1, "switch reconnecting off")
    }

    /// A peer that has not finished its handshake by then is disconnected.
    public func setHandshakeTimeout(milliseconds: Int32) throws(ZeroMQError) {
        try set(ZMQ_HANDSHAKE_IVL, milliseconds, "set handshake timeout")
    }

    /// On a DEALER: queue only to peers that are really there, so that `send` says false instead of hoarding.
    public func setImmediate() throws(ZeroMQError) {
        try set(ZMQ_IMMEDIATE, 1, "set immediate")
    }

    /// On a ROUTER: a message to a peer that is gone is an error (`EHOSTUNREACH`), not silence.
    public func setRouterMandatory() throws(ZeroMQError) {
        try set(ZMQ_ROUTER_MANDATORY, 1, "set router mandatory")
    }

    /// On a ROUTER: a peer that returns under a known identity takes it over from the dead connection.
    public func setRouterHandover() throws(ZeroMQError) {
        try set(ZMQ_ROUTER_HANDOVER, 1, "set router handover")
    }

    /// The identity that a ROUTER sees, 1 to 255 bytes.
    public func setRoutingID(_ identity: String) throws(ZeroMQError) {
        if zmq_setsockopt(raw, ZMQ_ROUTING_ID, identity, identity.utf8.count) != 0 {
            throw .last("set routing id")
        }
    }

    /// Takes CURVE connections with this secret key; who may connect is the ZAP handler's decision.
    public func serveCurve(_ keys: CurveKeyPair) throws(ZeroMQError) {
        try set(ZMQ_CURVE_SERVER, 1, "become a CURVE server")
        try set(ZMQ_CURVE_SECRETKEY, keys.secretKey, "set the server's secret key")
        // Without a domain libzmq does not ask the ZAP handler.
        try set(ZMQ_ZAP_DOMAIN, "gantry", "set the ZAP domain")
    }

    /// Connects with CURVE: to the holder of `serverKey` (Z85) only, as the owner of `keys`.
    public func useCurve(serverKey: String, keys: CurveKeyPair) throws(ZeroMQError) {
        try set(ZMQ_CURVE_SERVERKEY, serverKey, "set the server's public key")
        try set(ZMQ_CURVE_PUBLICKEY, keys.publicKey, "set the public key")
        try set(ZMQ_CURVE_SECRETKEY, keys.secretKey, "set the secret key")
    }

    private func set(_ option: Int32, _ value: Int32, _ what: String) throws(ZeroMQError) {
        var value = value
        if zmq_setsockopt(raw, option, &value, MemoryLayout<Int32>.size) != 0 { throw .last(what) }
    }

    private func set(_ option: Int32, _ value: String, _ what: String) throws(ZeroMQError) {
        // Z85 keys are passed as 40 characters and their terminating zero (zmq_setsockopt(3)).
        if zmq_setsockopt(raw, option, value, value.utf8.count + (option == ZMQ_ZAP_DOMAIN ? 0 : 1)) != 0 {
            throw .last(what)
        }
    }

    // MARK: Messages

    /// Sends all frames as one message without waiting. The frames are empty afterwards.
    ///
    /// - Returns: false when there is no peer or the queue to it is full; nothing was sent then.
    public func send(_ frames: [Frame]) throws(ZeroMQError) -> Bool {
        for (index, frame) in frames.enumerated() {
            let more = index < frames.count - 1 ? ZMQ_SNDMORE : 0
            while zmq_msg_send(frame.message, raw, ZMQ_DONTWAIT | more) < 0 {
                let code = zmq_errno()
                if code == EINTR { continue }
                // libzmq takes or refuses a message at its first frame; later frames do not block.
                if index == 0, code == EAGAIN || code == EHOSTUNREACH { return false }
                throw ZeroMQError(code: code, operation: "send")
            }
        }
        return true
    }

    /// One whole message if one is waiting, else nil.
    ///
    /// - Parameter mostFrames: of a message with more frames the rest is thrown away, except the last one, so that a
    ///   message of countless empty frames costs no memory here; it has `mostFrames` + 1 frames then.
    public func receive(mostFrames: Int = 4096) throws(ZeroMQError) -> [Frame]? {
        var frames: [Frame] = []
        while true {
            let frame = Frame()
            if zmq_msg_recv(frame.message, raw, ZMQ_DONTWAIT) < 0 {
                let code = zmq_errno()
                if code == EINTR { continue }
                // EFSM is a REP or REQ socket out of turn; the rest of a started message never blocks.
                if code == EAGAIN, frames.isEmpty { return nil }
                throw ZeroMQError(code: code, operation: "receive")
            }
            if frames.count > mostFrames { frames.removeLast() }
            frames.append(frame)
            if zmq_msg_more(frame.message) == 0 { return frames }
        }
    }
}
