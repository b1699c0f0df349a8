// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ServiceLifecycle
import WorkerStore

/// Keeps a worker running: begins it anew when its database was found damaged, and waits for the disk when it is full or
/// may not be written.
public final class WorkerKeeper: Service {
    private let settings: WorkerSettings
    private let log: Logger
    private let first: Worker?
    private static let retryMilliseconds = 1000

    /// - Throws: an error whose text says which setting, file or package is wrong; not for a disk that cannot be
    ///   written at present.
    public init(settings: WorkerSettings, log: Logger) throws {
        self.settings = settings
        self.log = log
        do {
            first = try Worker(settings: settings, log: log)
        } catch  where WorkerStore.isPassing(error) {
            log.error("\(error)")
            first = nil
        }
    }

    /// Runs until the service group shuts down.
    public func run() async throws {
        await cancelWhenGracefulShutdown { await self.keep() }
    }

    private func keep() async {
        var worker = first
        // What was complained about is not complained about again.
        var isWaiting = worker == nil
        while !Task.isCancelled {
            if let running = worker {
                await Self.untilDamaged(running)
                log.info("worker stops")
                running.stop()
                worker = nil
            } else {
                try? await Task.sleep(for: .milliseconds(Self.retryMilliseconds))
                if !Task.isCancelled { worker = begin(isWaiting: &isWaiting) }
            }
        }
        worker?.stop()
    }

    private func begin(isWaiting: inout Bool) -> Worker? {
        do {
            let worker = try Worker(settings: settings, log: log)
            if isWaiting { log.notice("the state can be used again") }
            isWaiting = false
            return worker
        } catch {
            if !isWaiting { log.error("\(error)") }
            isWaiting = true
            return nil
        }
    }

    /// Returns when the worker's database was found damaged or the task is cancelled.
    private static func untilDamaged(_ worker: Worker) async {
        let (damages, continuation) = AsyncStream.makeStream(of: Void.self)
        worker.whenDamaged { continuation.finish() }
        // Before somebody listened.
        if worker.isDamaged { continuation.finish() }
        for await _ in damages {}
    }
}
