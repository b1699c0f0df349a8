// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Synchronization
import ZeroMQ

/// SCHED_IDLE of linux/sched.h, which glibc declares for _GNU_SOURCE only.
private let idlePolicy: Int32 = 5

/// A thread for work that has time: it gets a processor only while nothing else wants one (SCHED_IDLE, sched(7)), and so do
/// the threads that a library starts from it.
///
/// Its work must hold no lock that anything urgent waits for: while the processors are busy it may not get to release it.
/// That is why it is a thread of its own for the duration of the work: an ordinary user's thread cannot leave that class
/// again.
final class IdleThread<Value: Sendable>: Sendable {
    private let outcome = Mutex<Result<Value, any Error>?>(nil)

    /// Runs `body` to its end, while the caller waits.
    static func run(_ body: () throws -> Value) throws -> Value {
        let run = IdleThread()
        return try withoutActuallyEscaping(body) { body in
            // Unchecked: the caller waits until the thread has ended, so nothing is used by two threads at once.
            nonisolated(unsafe) let body = body
            let thread = ZeroMQ.Thread {
                var parameters = sched_param()
                // 0 is the calling thread.
                sched_setscheduler(0, idlePolicy, &parameters)
                let result = Result { try body() }
                run.outcome.withLock { $0 = result }
            }
            try thread.start()
            thread.join()
            guard let result = run.outcome.withLock({ $0 }) else { throw CancellationError() }
            return try result.get()
        }
    }
}
