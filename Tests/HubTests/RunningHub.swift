// SPDX-License-Identifier: GPL-3.0-or-later
import HubService
import HubStore
import Logging
import Rounds
import ZeroMQ

/// A real hub in this process: message thread, CURVE, store on disk.
final class RunningHub: Sendable {
    let store: HubStore
    let keys: CurveKeyPair
    let endpoint: String
    private let task: Task<Void, any Error>

    private init(store: HubStore, keys: CurveKeyPair, endpoint: String, task: Task<Void, any Error>) {
        self.store = store
        self.keys = keys
        self.endpoint = endpoint
        self.task = task
    }

    static func start(
        _ store: HubStore, keys: CurveKeyPair, settings: RoundSettings, clock: TestClock
    ) async throws -> RunningHub {
        var logger = Logger(label: "hub")
        logger.logLevel = .critical
        let hub = try Hub(
            configuration: HubConfiguration(endpoint: "tcp://127.0.0.1:*", settings: settings, tickMilliseconds: 5),
            store: store, keys: keys, now: { clock.now }, logger: logger)
        let task = Task { try await hub.run() }
        return RunningHub(store: store, keys: keys, endpoint: try await hub.awaitEndpoint(), task: task)
    }

    func stop() async throws {
        task.cancel()
        try await task.value
    }
}
