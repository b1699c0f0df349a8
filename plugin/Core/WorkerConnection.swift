// SPDX-License-Identifier: GPL-3.0-or-later
import ZeroMQ

/// One attempt to reach a worker, and the connection that came of it. Belongs to the courier's thread.
///
/// libzmq does not reconnect by itself: it would connect to whoever listens then, and send what is queued before anybody
/// has looked. So each attempt has a socket of its own, and nothing is sent before the peer is known to be the worker.
final class WorkerConnection {
    private static let largestFrameBytes: Int64 = 16 * 1_048_576
    /// Of messages that are not read yet: a few of the largest.
    private static let unreadBytes: UInt64 = 128 * 1_048_576
    private static let handshakeMilliseconds: Int32 = 5_000

    let socket: Socket
    let monitor: ConnectionMonitor

    /// - Parameters:
    ///   - keys: this gateway's, with which CURVE is spoken; nil for ipc.
    ///   - name: unique within the context.
    /// - Throws: `ZeroMQError` when the endpoint cannot be used or sockets are exhausted.
    init(to address: WorkerAddress, keys: CurveKeyPair?, named name: String, in context: Context) throws(ZeroMQError) {
        socket = try Socket(.dealer, in: context)
        monitor = try ConnectionMonitor(of: socket, named: name, in: context)
        try socket.setImmediate()
        try socket.setSendHighWaterMark(messages: 8_192)
        try socket.setMaximumFrame(bytes: WorkerConnection.largestFrameBytes)
        try socket.setSingleConnection()
        try socket.setHandshakeTimeout(milliseconds: WorkerConnection.handshakeMilliseconds)
        if address.socketPath == nil { try socket.setKeepAlive() }
        if let keys { try socket.useCurve(serverKey: address.publicKey, keys: keys) }
        try socket.connect(address.endpoint)
    }

    /// What the system knows of the connection; nil before there is one.
    private var connection: Connection?
    private var backlog = Backlog(mostBytes: WorkerConnection.unreadBytes)

    func opened(_ connection: Connection) { self.connection = connection }

    /// The next message, nil when there is none.
    func receive() throws(ZeroMQError) -> [Frame]? {
        guard let frames = try socket.receive() else {
            backlog.drain()
            return nil
        }
        backlog.read(frames)
        return frames
    }

    /// Whether the worker sends more than can be read.
    func isFlooding() -> Bool { backlog.isTooLarge(received: connection?.receivedBytes) }
}
