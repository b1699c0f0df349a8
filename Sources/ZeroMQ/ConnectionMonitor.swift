// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

/// Tells when a socket's connections come up and go down. Belongs to the socket's thread, or is handed to another one.
///
/// What was sent into a connection that went down may be lost: this is how a sender learns that it has to repeat it.
public final class ConnectionMonitor {
    public enum Event: Sendable, Equatable {
        /// We connected: bytes can flow, and nobody has proved anything. Nil when the connection is already gone.
        case opened(Connection?)
        /// Somebody connected to us. Nil when the connection is already gone.
        case accepted(Connection?)
        /// The peer is there and, with CURVE, has proved who it is.
        case connected
        /// The peer does not speak the protocol or, with CURVE, does not have the key, or turned us away.
        case refused
        case disconnected(descriptor: Int32)
        /// An attempt to connect failed: nobody listens.
        case failed
    }

    /// For `waitForInput`.
    public let socket: Socket
    private let watched: Socket
    private var listener: Int32 = -1

    /// - Parameter name: unique within the context.
    /// - Throws: `ZeroMQError` when sockets are exhausted.
    public init(of watched: Socket, named name: String, in context: Context) throws(ZeroMQError) {
        let address = "inproc://gantry-monitor-\(name)"
        let events =
            ZMQ_EVENT_CONNECTED | Self.handshakeFailures | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED
            | ZMQ_EVENT_CLOSED | ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED
        if zmq_socket_monitor(watched.raw, address, events) != 0 { throw .last("monitor a socket") }
        socket = try Socket(.pair, in: context)
        self.watched = watched
        try socket.connect(address)
    }

    deinit {
        // An event that nobody can take would hold up libzmq's own thread for ever.
        zmq_socket_monitor(watched.raw, nil, 0)
    }

    /// The next event, nil when there is none at present.
    public func next() throws(ZeroMQError) -> Event? {
        while let message = try socket.receive() {
            // First frame: event number (16 bits), value (32 bits), in the machine's byte order (zmq_socket_monitor(3)).
            let (number, value) =
                message.first?.withUnsafeBytes { bytes in
                    bytes.count >= 6
                        ? (
                            Int32(bytes.loadUnaligned(as: UInt16.self)),
                            bytes.loadUnaligned(fromByteOffset: 2, as: Int32.self)
                        ) : (0, 0)
                } ?? (0, 0)
            switch number {
            case ZMQ_EVENT_LISTENING: listener = value
            case ZMQ_EVENT_CONNECTED: return .opened(Connection(descriptor: value))
            case ZMQ_EVENT_ACCEPTED:
                // Gone already, and its number used again for something else.
                let isOurs = gantry_is_accepted_by(listener, value) != 0
                return .accepted(isOurs ? Connection(descriptor: value) : nil)
            case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return .connected
            case ZMQ_EVENT_DISCONNECTED: return .disconnected(descriptor: value)
            case ZMQ_EVENT_CLOSED: return .failed
            default: if number & Self.handshakeFailures != 0 { return .refused }
            }
        }
        return nil
    }

    private static let handshakeFailures =
        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
}
