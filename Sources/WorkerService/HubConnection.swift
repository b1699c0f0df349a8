// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ZeroMQ

/// One question after the other to the hub, over CURVE. Belongs to the hub link's thread.
final class HubConnection {
    enum Failure: Error, CustomStringConvertible {
        case noAnswer(String)
        case hub(name: String, text: String)
        case unexpected(String)
        case stopped

        var description: String {
            switch self {
            case .noAnswer(let endpoint):
                "no answer from the hub at \(endpoint): it is down, cannot be reached, does not know this site's key, "
                    + "or hub_key is not its key"
            case .hub(let name, let text): "the hub answers \(name): \(text)"
            case .unexpected(let verb): "the hub answered something else than was asked for: \(verb)"
            case .stopped: "stopped"
            }
        }
    }

    /// The hub's name for more requests than it takes of one site; the same question is asked again then.
    private static let slowDown = "slow-down"

    private let endpoint: String
    private let hubKey: String
    private let keys: CurveKeyPair
    private let context: Context
    private let wakeup: Wakeup
    private let transcript: Transcript?
    private let timepiece: Timepiece
    private let timeoutMilliseconds: Int64
    private var socket: Socket?
    private var monitor: ConnectionMonitor?
    private var connection: Connection?
    /// What had come over the connection when the question was sent.
    private var receivedBefore: UInt64 = 0
    private var connections = 0
    /// An answer is one message; libzmq bounds a frame and not how many a message has.
    private static let largestAnswerBytes = UInt64(
        2 * (FederationLimits.frameBytes + FederationLimits.hubDocumentBytes))
    /// Payload and field bytes in each direction, without encryption and framing.
    private(set) var bytesSent: Int64 = 0
    private(set) var bytesReceived: Int64 = 0

    init(
        endpoint: String, hubKey: String, keys: CurveKeyPair, context: Context, wakeup: Wakeup, transcript: Transcript?,
        timepiece: Timepiece, timeoutMilliseconds: Int64 = 15_000
    ) {
        self.endpoint = endpoint
        self.hubKey = hubKey
        self.keys = keys
        self.context = context
        self.wakeup = wakeup
        self.transcript = transcript
        self.timepiece = timepiece
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Sends a message and waits for its answer. After a silence the connection is made anew, so that a late answer
    /// cannot be taken for the answer to the next question.
    ///
    /// - Parameter isStopping: looked at whenever `wakeup` is signalled and once a second.
    func ask(_ message: ToHub, isStopping: () -> Bool) throws -> ToSite {
        let socket = try self.socket ?? connect()
        self.socket = socket
        let parts = try message.parts()
        try transcript?.record(parts, at: timepiece.unix())
        let deadline = timepiece.monotonic() + timeoutMilliseconds
        var isSent = false
        try followConnection()
        receivedBefore = connection?.receivedBytes ?? 0
        while !isStopping(), timepiece.monotonic() < deadline {
            if !isSent {
                isSent = try socket.send(parts.map { part in part.withUnsafeBytes { Frame(copying: $0) } })
                if isSent { bytesSent += parts.reduce(0) { $0 + Int64($1.count) } }
            }
            try waitForInput(on: [socket], or: wakeup, timeoutMilliseconds: isSent ? 250 : 50)
            try followConnection()
            if let received = connection?.receivedBytes, received > receivedBefore,
                received - receivedBefore > Self.largestAnswerBytes
            {
                hangUp()
                throw Failure.unexpected("more than \(Self.largestAnswerBytes >> 20) MB")
            }
            guard let frames = try socket.receive(mostFrames: FederationLimits.frames) else { continue }
            bytesReceived += frames.reduce(0) { $0 + Int64($1.count) }
            let answer = try ToSite(frames: frames)
            if case .error(Self.slowDown, _) = answer {
                try waitForInput(on: [], or: wakeup, timeoutMilliseconds: 1000)
                isSent = false
                continue
            }
            if case .error(let name, let text) = answer { throw Failure.hub(name: name, text: text) }
            return answer
        }
        hangUp()
        throw isStopping() ? Failure.stopped : Failure.noAnswer(endpoint)
    }

    private func hangUp() {
        monitor = nil
        connection = nil
        socket = nil
    }

    private func followConnection() throws {
        while let event = try monitor?.next() {
            guard case .opened(let opened) = event else { continue }
            connection = opened
            receivedBefore = 0
        }
    }

    private func connect() throws -> Socket {
        let socket = try Socket(.dealer, in: context)
        connections += 1
        monitor = try ConnectionMonitor(of: socket, named: "hub-\(connections)-\(UUID().uuidString)", in: context)
        try socket.useCurve(serverKey: hubKey, keys: keys)
        try socket.setMaximumFrame(bytes: Int64(FederationLimits.frameBytes + FederationLimits.hubDocumentBytes))
        try socket.setHandshakeTimeout(milliseconds: 5_000)
        try socket.setKeepAlive()
        try socket.setReconnect(fromMilliseconds: 100, toMilliseconds: 5000)
        // What is not sent when the hub is gone is asked again, not hoarded.
        try socket.setImmediate()
        try socket.connect(endpoint)
        return socket
    }
}
