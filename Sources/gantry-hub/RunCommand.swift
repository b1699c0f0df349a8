// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import HubService
import HubStore
import Logging
import Rounds
import ServiceLifecycle

/// `gantry-hub run`.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the hub until it is told to stop (Ctrl-C or SIGTERM).",
        discussion: """
            Every option is remembered for the next start. A hub that was killed goes on with the round it was in.
            """)

    @OptionGroup var state: StateOption
    @OptionGroup(title: "Rounds") var rounds: RoundOptions

    @Option(help: "Where sites connect: tcp://ADDRESS:PORT.")
    var endpoint: String?

    @Option(help: "Where the status page is: HOST:PORT.")
    var http: HTTPAddress?

    @Option(help: "Least important log lines shown: trace, debug, info, notice, warning, error.")
    var logLevel = Logger.Level.info

    func run() async throws {
        let store = try state.open()
        // Options are remembered by the hub that runs; a second one is turned away before it changes anything.
        let lock = try HubLock(store)
        let keys = try state.keys()
        var settings = try store.setting(StateOption.roundsSetting, as: RoundSettings.self) ?? RoundSettings()
        rounds.apply(to: &settings)
        if let fault = settings.fault { throw ValidationError(fault) }
        let endpoint = try remember(endpoint, StateOption.endpointSetting, in: store) ?? "tcp://127.0.0.1:5790"
        let http = try remember(http, StateOption.httpSetting, in: store) ?? .standard
        try store.set(settings, for: StateOption.roundsSetting)

        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        var logger = Logger(label: "gantry-hub")
        logger.logLevel = logLevel
        var quiet = Logger(label: "gantry-hub.http")
        quiet.logLevel = max(logLevel, .warning)
        let hub = try Hub(
            configuration: HubConfiguration(endpoint: endpoint, settings: settings), store: store, keys: keys,
            lock: lock, logger: logger)
        let page = StatusServer(store: store, settings: settings, endpoint: endpoint, publicKey: keys.publicKey)
            .application(host: http.host, port: http.port, logger: quiet) { [logger] port in
                logger.notice("status page", metadata: ["url": "http://\(HTTPAddress(host: http.host, port: port))/"])
            }
        try await ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: hub, failureTerminationBehavior: .cancelGroup),
                    .init(service: page, failureTerminationBehavior: .cancelGroup),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        ).run()
    }

    /// The option's value, else the one of the last start.
    private func remember<Value: Codable>(_ value: Value?, _ key: String, in store: HubStore) throws -> Value? {
        guard let value else { return try store.setting(key, as: Value.self) }
        try store.set(value, for: key)
        return value
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
