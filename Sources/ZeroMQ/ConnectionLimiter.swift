// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Keeps the connections of a socket that listens within `ConnectionLimits`: libzmq takes whatever comes and holds it.
///
/// Has a thread of its own, which hears of connections from libzmq and ends those that are too many, say nothing, or send
/// more than is read. The socket's owner tells it about each message (`heard`). Who takes the last descriptor goes again:
/// without one libzmq would ask the system again and again for what waits at the door.
public final class ConnectionLimiter: Sendable {
    /// Why a connection was ended. The raw value is the name in counters and logs.
    public enum Reason: String, Sendable, CaseIterable {
        case tooManyOfUser = "too-many-of-one-key"
        case tooManyOfProcess = "too-many-of-one-process"
        case tooManyNewcomers = "too-many-newcomers"
        case tooMany = "too-many-connections"
        case saidNothing = "said-nothing"
        case tooMuchUnread = "too-much-unread"
        case noDescriptor = "no-descriptor-left"
    }

    public enum Note: Sendable, Equatable {
        /// A handshake failed: no ZMTP, or a key that nobody knows.
        case refused
        /// `user` as ZAP named it; empty when it is not known.
        case ended(Reason, user: String)
    }

    private static let lookMilliseconds = 250

    private let table: Mutex<ConnectionTable>
    private let note: @Sendable (Note) -> Void
    private let ended = Atomic<Int>(0)
    private let isStopping = Atomic<Bool>(false)
    private let wakeup: Wakeup
    private let thread = Mutex<Thread?>(nil)

    /// Watches a socket. Call on the socket's thread, before it binds.
    ///
    /// - Parameters:
    ///   - name: unique within the context.
    ///   - note: called on the limiter's thread.
    /// - Throws: `ZeroMQError` when sockets or threads are exhausted.
    public init(
        of socket: Socket, named name: String, in context: Context, limits: ConnectionLimits,
        note: @escaping @Sendable (Note) -> Void
    ) throws(ZeroMQError) {
        try socket.setHandshakeTimeout(milliseconds: limits.handshakeMilliseconds)
        Connection.prepareToHangUp()
        table = Mutex(ConnectionTable(limits))
        self.note = note
        wakeup = try Wakeup()
        let watched = Watched(try ConnectionMonitor(of: socket, named: name, in: context))
        let thread = Thread { [self] in self.run(watched.monitor) }
        try thread.start()
        self.thread.withLock { $0 = thread }
    }

    private struct Watched: @unchecked Sendable {
        // Made by the socket's thread, used by the limiter's alone.
        let monitor: ConnectionMonitor

        init(_ monitor: ConnectionMonitor) { self.monitor = monitor }
    }

    /// Connections now.
    public var count: Int { table.withLock { $0.count } }
    /// Connections that were ended since start.
    public var endedCount: Int { ended.load(ordering: .relaxed) }

    /// A message was read. Any thread.
    ///
    /// - Parameter frames: as they came over the connection, without the identity that a ROUTER puts before them.
    public func heard(_ frames: ArraySlice<Frame>) {
        guard let last = frames.last, let descriptor = last.descriptor else { return }
        let admission = last.admission
        nonisolated(unsafe) let frames = frames
        end(table.withLock { $0.spoke(descriptor: descriptor, admission: admission, frames: frames) })
    }

    /// There was no message to read. Any thread.
    public func drained() { table.withLock { $0.drained() } }

    /// Ends the thread. The socket may be used and closed afterwards.
    public func stop() {
        isStopping.store(true, ordering: .relaxed)
        wakeup.signal()
        let thread = self.thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.join()
    }

    private func run(_ monitor: ConnectionMonitor) {
        Thread.nameCurrent("gantry-limits")
        var lookAt = Self.now()
        while !isStopping.load(ordering: .relaxed) {
            do {
                try waitForInput(on: [monitor.socket], or: wakeup, timeoutMilliseconds: Self.lookMilliseconds)
                for _ in 0..<1_000 {
                    guard let event = try monitor.next() else { break }
                    take(event)
                }
            } catch {
                usleep(10_000)
            }
            let now = Self.now()
            guard now >= lookAt else { continue }
            lookAt = now + Int64(Self.lookMilliseconds)
            if gantry_has_descriptor() == 0 { end(table.withLock { $0.giveUpNewcomers() }) }
            end(table.withLock { $0.look(at: now) { $0.receivedBytes } })
        }
    }

    private func take(_ event: ConnectionMonitor.Event) {
        switch event {
        case .accepted(let connection?):
            let now = Self.now()
            end(table.withLock { $0.opened(connection, at: now) })
            if gantry_has_descriptor() == 0 { end(table.withLock { $0.giveUpNewcomers() }) }
        case .disconnected(let descriptor): table.withLock { $0.closed(descriptor: descriptor) }
        case .refused: note(.refused)
        case .accepted, .opened, .connected, .failed: break
        }
    }

    private func end(_ endings: [ConnectionTable.Ending]) {
        for ending in endings {
            ending.connection.hangUp()
            ended.add(1, ordering: .relaxed)
            note(.ended(ending.reason, user: ending.user))
        }
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
