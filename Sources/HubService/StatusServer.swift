// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import HubStore
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import Rounds
import ZeroMQ

/// The hub's HTTP side, for its operator: page, JSON, health, metrics. It reads the store and changes nothing.
///
/// It has no users and no TLS of its own: bind it to this machine, or put it behind a proxy that has.
public struct StatusServer: Sendable {
    private let store: HubStore
    private let settings: RoundSettings
    private let strategy: any Strategy
    private let endpoint: String
    private let publicKey: String
    private let now: Clock

    /// A connection without a request, or with a head that is not complete, is closed after so long.
    private static let idleSeconds: Int64 = 5
    /// From a request's head to the last byte of its answer.
    private static let requestSeconds: Int64 = 20

    public init(
        store: HubStore, settings: RoundSettings, strategy: any Strategy = FederatedAveraging(), endpoint: String,
        publicKey: String, now: @escaping Clock = wallClock
    ) {
        self.store = store
        self.settings = settings
        self.strategy = strategy
        self.endpoint = endpoint
        self.publicKey = publicKey
        self.now = now
    }

    /// What the page shows.
    public func status() throws -> HubStatus {
        try HubStatus(
            store, settings: settings, strategy: strategy, endpoint: endpoint, publicKey: publicKey,
            nowMilliseconds: now())
    }

    /// The service that listens on `host` and `port`; 0 chooses a port.
    ///
    /// - Parameter onServerRunning: called with the port that was bound.
    public func application(
        host: String, port: Int, logger: Logger, onServerRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        let headers = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 64)
        return Application(
            router: router(logger: logger),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [RequestDeadline(after: .seconds(Self.requestSeconds))],
                    idleTimeout: .seconds(Self.idleSeconds), httpDecoderConfiguration: headers)),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: nil,
                availableConnectionsDelegate: MaximumAvailableConnections(ConnectionLimits.share, logger: logger)),
            onServerRunning: { channel in await onServerRunning(channel.localAddress?.port ?? port) }, logger: logger)
    }

    func router(logger: Logger) -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        let page = StatusPage()
        router.get("/") { _, _ in
            Self.response(.ok, "text/html; charset=utf-8", page.html, policy: page.policy)
        }
        router.get("/api/status") { _, _ in
            guarded(logger) {
                Self.response(.ok, "application/json", String(decoding: try status().json(), as: UTF8.self))
            }
        }
        router.get("/health") { _, _ in
            guarded(logger) {
                _ = try store.models()
                return Self.response(.ok, "application/json", #"{"status":"ok"}"#)
            }
        }
        router.get("/metrics") { _, _ in
            guarded(logger) { Self.response(.ok, "text/plain; version=0.0.4; charset=utf-8", try status().metrics()) }
        }
        return router
    }

    /// A store that cannot be read is a 503 without the details, which are in the log.
    private func guarded(_ logger: Logger, _ body: () throws -> Response) -> Response {
        do {
            return try body()
        } catch {
            logger.error("cannot show the status", metadata: ["error": "\(error)"])
            return Self.response(
                .serviceUnavailable, "application/json", #"{"status":"fault","text":"see the hub's log"}"#)
        }
    }

    private static func response(
        _ status: HTTPResponse.Status, _ type: String, _ body: String, policy: String = "default-src 'none'"
    ) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = type
        headers[.cacheControl] = "no-store"
        headers[.contentSecurityPolicy] = policy
        headers[.xContentTypeOptions] = "nosniff"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
    }
}
