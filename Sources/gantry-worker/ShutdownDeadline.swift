// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ServiceLifecycle

/// Ends the process when the worker does not stop in time: a disk that does not answer, a thread that does not come back.
/// What is not committed was not acknowledged and comes again.
struct ShutdownDeadline: Service {
    private static let seconds = 4.5

    let log: Logger

    func run() async throws {
        try? await gracefulShutdown()
        Thread.detachNewThread { [log] in
            Thread.sleep(forTimeInterval: Self.seconds)
            log.error("the worker does not stop within \(Self.seconds) s and is ended")
            _exit(EXIT_SUCCESS)
        }
    }
}
