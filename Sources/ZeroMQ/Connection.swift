// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One connection of a socket, seen from outside of libzmq, which owns it. Any thread: descriptors are used again, so
/// whatever is done first makes sure that it is still the same connection.
public struct Connection: Sendable, Equatable {
    public let descriptor: Int32
    /// The system's number of the socket; no other open socket has it.
    let number: UInt64
    /// The user and the process at the other end of a local connection; nil for tcp.
    public let peerUser: UInt32?
    let peerProcess: Int32?

    /// Nil when the descriptor is no socket any more.
    init?(descriptor: Int32) {
        let number = gantry_socket_number(descriptor)
        guard number != 0 else { return nil }
        var user: UInt32 = 0
        var process: Int32 = 0
        let isLocal = gantry_peer(descriptor, &user, &process) == 0
        self.init(
            descriptor: descriptor, number: number, peerUser: isLocal ? user : nil, peerProcess: isLocal ? process : nil
        )
    }

    init(descriptor: Int32, number: UInt64, peerUser: UInt32? = nil, peerProcess: Int32? = nil) {
        self.descriptor = descriptor
        self.number = number
        self.peerUser = peerUser
        self.peerProcess = peerProcess
    }

    /// Bytes that have come over it since it was made, read or not; nil for a local connection and for one that is gone.
    public var receivedBytes: UInt64? {
        var bytes: UInt64 = 0
        guard gantry_received_bytes(descriptor, &bytes) == 0, gantry_socket_number(descriptor) == number else {
            return nil
        }
        return bytes
    }

    /// Ends it in both directions; libzmq finds that out and lets go of it. Nothing happens when it is gone.
    public func hangUp() {
        Self.spare.withLock { gantry_hang_up(descriptor, number, $0.descriptor, $0.idle) }
    }

    /// Two descriptors that are always there: connections are ended just when there are too many.
    private static let spare = Mutex(
        (descriptor: open("/dev/null", O_RDONLY | O_CLOEXEC), idle: open("/dev/null", O_RDONLY | O_CLOEXEC)))

    /// Takes the two descriptors while there are some.
    static func prepareToHangUp() { spare.withLock { _ in } }
}
