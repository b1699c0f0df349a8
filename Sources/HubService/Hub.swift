// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import HubStore
import Logging
import Rounds
import ServiceLifecycle
import ZeroMQ

/// The hub as a service: enrolled sites in, global model versions out.
///
/// State is in the store alone; killing the process at any instant loses nothing that was acknowledged.
public final class Hub: Service {
    private let loop: MessageLoop
    private let store: HubStore
    private let logger: Logger
    private let publicKey: String
    private let lock: HubLock

    /// - Parameter lock: of the store, when it is held already; else it is taken.
    /// - Throws: `HubStoreError.inUse` when another process runs this hub.
    public init(
        configuration: HubConfiguration, store: HubStore, keys: CurveKeyPair, lock: HubLock? = nil,
        strategy: any Strategy = FederatedAveraging(), now: @escaping Clock = wallClock, logger: Logger
    ) throws {
        self.lock = try lock ?? HubLock(store)
        self.store = store
        self.logger = logger
        publicKey = keys.publicKey
        try store.sweepAtStart()
        loop = try MessageLoop(
            configuration: configuration, store: store, keys: keys, strategy: strategy, now: now, logger: logger)
    }

    /// Serves until the service group shuts down or the task is cancelled.
    ///
    /// - Throws: when the endpoint cannot be bound.
    public func run() async throws {
        let ended = AsyncStream<Void>.makeStream()
        let thread = ZeroMQ.Thread { [loop] in
            loop.run()
            ended.continuation.finish()
        }
        try thread.start()
        defer {
            loop.stop()
            thread.join()
        }
        let endpoint = try await awaitEndpoint()
        logger.notice("hub is listening", metadata: ["endpoint": "\(endpoint)", "public_key": "\(publicKey)"])
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                for await _ in ended.stream {}
            } onGracefulShutdown: { [loop] in
                loop.stop()
            }
        } onCancel: { [loop] in
            loop.stop()
        }
        if case .failure(let error)? = loop.endpoint { throw error }
        logger.notice("hub stopped")
    }

    /// The endpoint with its real port, once it is bound.
    ///
    /// - Throws: why it could not be bound.
    public func awaitEndpoint() async throws -> String {
        while true {
            if let endpoint = loop.endpoint { return try endpoint.get() }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
