// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization
import ZeroMQ

/// The one thread of a room, desk or link. Any thread may end it, any number of times.
final class OwnThread: Sendable {
    private let thread = Mutex<ZeroMQ.Thread?>(nil)

    /// Call once.
    ///
    /// - Throws: `ZeroMQError` when no thread can be made.
    func start(_ body: @escaping @Sendable () -> Void) throws(ZeroMQError) {
        let thread = ZeroMQ.Thread(body)
        try thread.start()
        self.thread.withLock { $0 = thread }
    }

    /// Waits for the body to return, if nobody else does already. Tell it to end first.
    func join() {
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
    }
}
