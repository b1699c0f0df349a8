// SPDX-License-Identifier: GPL-3.0-or-later

/// What one connection has sent and nobody has read yet: libzmq holds all of it, and has no bound but for one frame.
///
/// Bytes can be known for tcp alone (`Connection.receivedBytes`); messages are counted for every connection.
public struct Backlog: Sendable {
    /// Bytes that may have come and not been read, and the most of one message.
    private let mostBytes: UInt64
    /// Messages that may be read one after the other without ever reaching the end of what has come.
    private let mostMessages: Int
    private var messages = 0
    private var readBytes: UInt64 = 0
    private var hasRead = true
    private var hasDrained = true
    /// Received up to the look before which the last message was read.
    private var receivedAtMessage: UInt64 = 0
    /// Received up to the look before which everything was read.
    private var receivedAtDrain: UInt64 = 0

    public init(mostBytes: UInt64, mostMessages: Int = 50_000) {
        self.mostBytes = mostBytes
        self.mostMessages = mostMessages
    }

    /// A message was read.
    ///
    /// - Parameter frames: as they came over the connection.
    public mutating func read(_ frames: some Sequence<Frame>) {
        for frame in frames {
            // CURVE adds 33 bytes (RFC 26), ZMTP 2 or 9 (RFC 37).
            let sealed = frame.count &+ 33
            readBytes &+= UInt64(clamping: sealed &+ (sealed > 255 ? 9 : 2))
        }
        messages &+= 1
        hasRead = true
    }

    /// There was nothing more to read.
    public mutating func drain() {
        messages = 0
        hasDrained = true
    }

    /// Whether the peer sends more than is read: to be asked again and again.
    ///
    /// - Parameter received: all that has come over the connection; nil when it is not known.
    public mutating func isTooLarge(received: UInt64?) -> Bool {
        if messages > mostMessages { return true }
        guard let received else { return false }
        if hasRead { receivedAtMessage = received }
        if hasDrained {
            receivedAtDrain = received
            readBytes = 0
        }
        hasRead = false
        hasDrained = false
        // One message that never ends; or whole ones that come faster than they are read.
        let known = receivedAtDrain &+ readBytes
        return received > receivedAtMessage &+ mostBytes || received > known &+ mostBytes
    }
}
