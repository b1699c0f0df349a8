// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

/// Tells when a socket's connections come up and go down. Belongs to the socket's thread.
///
/// What was sent into a connection that went down may be lost: this is how a sender learns that it has to repeat it.
public final class ConnectionMonitor {
    public enum Event: Sendable, Equatable {
        /// The peer is there and, with CURVE, has proved who it is.
        case connected
        case disconnected
    }

    /// For `waitForInput`.
    public let socket: Socket

    /// - Parameter name: unique within the context.
    /// - Throws: `ZeroMQError` when sockets are exhausted.
    public init(of watched: Socket, named name: String, in context: Context) throws(ZeroMQError) {
        let address = "inproc://gantry-monitor-\(name)"
        let events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED
        if zmq_socket_monitor(watched.raw, address, events) != 0 { throw .last("monitor a socket") }
        socket = try Socket(.pair, in: context)
        try socket.connect(address)
    }

    /// The next event, nil when there is none at present.
    public func next() throws(ZeroMQError) -> Event? {
        while let message = try socket.receive() {
            // First frame: event number (16 bits), value (32 bits), in the machine's byte order (zmq_socket_monitor(3)).
            let number = message.first?.withUnsafeBytes { bytes in
                bytes.count >= 2 ? Int32(bytes.loadUnaligned(as: UInt16.self)) : 0
            }
            if number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED { return .connected }
            if number == ZMQ_EVENT_DISCONNECTED { return .disconnected }
        }
        return nil
    }
}
