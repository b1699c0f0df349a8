// SPDX-License-Identifier: GPL-3.0-or-later

#if canImport(Glibc)
    import Glibc
#endif

/// How many connections a socket that listens holds, and what each may do.
public struct ConnectionLimits: Sendable, Equatable {
    /// Of one user (ZAP); over it the user's oldest is ended.
    public var perUser: Int
    /// Of one process on this machine (ipc).
    public var perProcess = 16
    /// That have not said anything yet; over it the oldest of them is ended.
    public var newcomers = 64
    /// All together.
    public var total: Int
    /// A connection that has said nothing for so long since it was made is ended. libzmq ends a handshake that takes
    /// longer than `handshakeMilliseconds` by itself.
    public var silenceMilliseconds: Int64 = 10_000
    public var handshakeMilliseconds: Int32 = 5_000
    /// Bytes that may come over a tcp connection between two messages that were read: libzmq bounds a frame, but neither
    /// the frames of a message nor the messages that wait.
    public var unreadBytes: UInt64

    public init(perUser: Int = 4, unreadBytes: UInt64, total: Int = Self.share) {
        self.perUser = perUser
        self.unreadBytes = unreadBytes
        self.total = total
    }

    /// A quarter of the descriptors that this process may have: the rest is for files, databases and other sockets.
    public static var share: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 256 }
        return max(16, min(4096, Int(clamping: limit.rlim_cur) / 4))
    }
}
