// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// Waits until a socket has a message, `wakeup` was signalled, or the time is over. Returns early on signals.
///
/// - Parameter timeoutMilliseconds: 0 looks and returns; negative waits without limit.
public func waitForInput(on sockets: [Socket], or wakeup: Wakeup?, timeoutMilliseconds: Int) throws(ZeroMQError) {
    var items = sockets.map { zmq_pollitem_t(socket: $0.raw, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0) }
    if let wakeup {
        items.append(zmq_pollitem_t(socket: nil, fd: wakeup.descriptor, events: Int16(ZMQ_POLLIN), revents: 0))
    }
    if zmq_poll(&items, Int32(truncatingIfNeeded: items.count), timeoutMilliseconds) < 0, zmq_errno() != EINTR {
        throw .last("poll")
    }
    wakeup?.drain()
}

/// Wakes a thread that waits in `waitForInput`. Any thread may signal; signals are merged.
public final class Wakeup: Sendable {
    let descriptor: Int32

    /// - Throws: `ZeroMQError` when the process has no file descriptor left.
    public init() throws(ZeroMQError) {
        let made = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard made >= 0 else { throw ZeroMQError(code: errno, operation: "create eventfd") }
        descriptor = made
    }

    deinit {
        close(descriptor)
    }

    /// One system call; never blocks.
    public func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    func drain() {
        var value: UInt64 = 0
        _ = read(descriptor, &value, MemoryLayout<UInt64>.size)
    }
}
