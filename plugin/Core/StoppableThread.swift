// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// A thread in somebody else's process: named, deaf to the process's signals, and waited for with a limit.
final class StoppableThread: Sendable {
    private let thread: ZeroMQ.Thread
    private let ended: Ended

    private final class Ended: Sendable {
        let flag = Atomic<Bool>(false)
        /// The thread's pthread_t; 0 before it runs.
        let identity = Atomic<UInt>(0)
    }

    /// - Parameter name: at most 15 characters (pthread_setname_np(3)).
    init(name: String, _ body: @escaping @Sendable () -> Void) {
        let ended = Ended()
        self.ended = ended
        thread = ZeroMQ.Thread {
            ended.identity.store(UInt(truncatingIfNeeded: pthread_self()), ordering: .relaxed)
            // The host's own threads handle its signals.
            var all = sigset_t()
            unsafe sigfillset(&all)
            unsafe pthread_sigmask(SIG_BLOCK, &all, nil)
            ZeroMQ.Thread.nameCurrent(name)
            body()
            ended.flag.store(true, ordering: .releasing)
        }
    }

    /// Whether the caller runs on this thread.
    var isCurrent: Bool { ended.identity.load(ordering: .relaxed) == UInt(truncatingIfNeeded: pthread_self()) }

    func start() throws(ZeroMQError) { try thread.start() }

    /// - Returns: false when the body has not returned in time; the thread then goes on by itself.
    func join(timeoutMilliseconds: Int64) -> Bool {
        let deadline = Clock.steadyMilliseconds() &+ timeoutMilliseconds
        while !ended.flag.load(ordering: .acquiring) {
            if Clock.steadyMilliseconds() >= deadline { return false }
            usleep(1_000)
        }
        thread.join()
        return true
    }
}
