// SPDX-License-Identifier: GPL-3.0-or-later
import Wire
import ZeroMQ

/// The connection to one worker. Belongs to the courier's thread.
final class WorkerLink {
    /// A worker that said nothing for this long is taken for dead; it answers every hello.
    static let silenceMilliseconds: Int64 = 10_000
    static let helloMilliseconds: Int64 = 1_000
    private static let largestFrameBytes: Int64 = 16 * 1_048_576

    let endpoint: String
    let socket: Socket
    let monitor: ConnectionMonitor
    var isConnected = false
    /// The worker process we agreed with; nil before its hello and after its loss.
    var session: String?
    var wasLost = false
    var name = ""
    var version = ""
    var creditBytes: Int64 = 0
    var heardAtSteadyMilliseconds: Int64 = 0
    var heardAtMilliseconds: Int64 = 0
    var helloAtSteadyMilliseconds: Int64 = 0

    /// - Throws: `ZeroMQError` when the endpoint cannot be used or sockets are exhausted.
    init(endpoint: String, number: Int, in context: Context) throws(ZeroMQError) {
        self.endpoint = endpoint
        socket = try Socket(.dealer, in: context)
        monitor = try ConnectionMonitor(of: socket, named: "worker-\(number)", in: context)
        try socket.setImmediate()
        try socket.setHighWaterMark(messages: 8_192)
        try socket.setMaximumFrame(bytes: WorkerLink.largestFrameBytes)
        try socket.setReconnect(fromMilliseconds: 50, toMilliseconds: 1_000)
        try socket.setHeartbeat(intervalMilliseconds: 2_000, timeoutMilliseconds: 8_000)
        try socket.connect(endpoint)
    }

    /// - Returns: false when the message could not be sent now.
    func send(_ message: ToWorker, payload: Frame) throws(ZeroMQError) -> Bool {
        var frames = message.envelope.frames.map { Frame($0) }
        frames.append(payload)
        return try socket.send(frames)
    }

    func send(_ message: ToWorker) throws(ZeroMQError) -> Bool { try send(message, payload: Frame()) }
}
