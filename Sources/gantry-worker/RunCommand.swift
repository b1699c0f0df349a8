// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import Logging
import ServiceLifecycle
import WorkerService

/// `gantry-worker run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run until SIGTERM or SIGINT.",
        discussion: """
            Settings come from a JSON file (--config) and from options; options win. Keys of the file: name, endpoint,
            key, gateways, state, packages, threads, nice, decode_threads, decoder, decode_seconds, decode_megabytes,
            sandbox (“required”, or “reduced” for a kernel without seccomp),
            instance_megabytes, model_process, model_seconds, model_megabytes, batch_slices, quiet_seconds,
            quiet_seconds_by_modality,
            counted_quiet_seconds, expected_counts, memory_megabytes, example_megabytes, held_out_share, resend_seconds,
            status_seconds, results, label_codes, hub, hub_key, site_key, hub_seconds, transcript,
            and what no package and no hub can change: guard_margin_most, guard_tolerance_most, held_out_labels_least,
            training_studies_least, epochs_most, learning_rate_most, batch_studies_most, package_megabytes, hub_megabytes,
            disk_reserve_megabytes. Only state is needed. An unknown key is an error.

            The packages that are named are live from the start on. One that was named before and no longer is stops; with
            an empty list none of them is live. What a hub offers waits for gantry model approve.

            The transcript is a file that records in clear text every byte that goes to the hub: for each message a line
            "# number time frames", then each frame as a line with its length and its bytes.

            Example:
              gantry-worker run --state /var/lib/gantry/worker --package ./head-ct \\
                  --endpoint ipc:///run/gantry/worker.ipc

            A gateway on another machine connects by tcp, which is encrypted and takes known keys only:
              gantry-worker run … --endpoint tcp://0.0.0.0:5780 --key keys/worker.key --gateway ct-gateway=ct-gateway.pub
            """)

    @Option(help: "JSON file with settings.")
    var config: String?

    @Option(help: "Where gateways connect, ipc://PATH or tcp://HOST:PORT. Default: ipc:///run/gantry/worker.ipc.")
    var endpoint: String?

    @Option(help: "For tcp: this worker's .key file (gantry site keygen).")
    var key: String?

    // A Z85 key may begin with a dash.
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "For tcp: a gateway's Name and its public key or .pub file; may be given several times.",
            valueName: "name=key"))
    var gateway: [String] = []

    @Option(help: "Directory for the worker's database and files.")
    var state: String?

    @Option(help: "A model package, directory or zip, to install at start; may be given several times.")
    var package: [String] = []

    @Option(help: "Threads of libtorch for scoring. Default: all cores.")
    var threads: Int?

    @Option(help: "A study is complete when nothing came for so long. Default: 2.")
    var quietSeconds: Double?

    @Option(help: "The federation hub, tcp://HOST:PORT.")
    var hub: String?

    // A Z85 key may begin with a dash.
    @Option(parsing: .unconditional, help: "The hub's public key: 40 characters, or its .pub file.")
    var hubKey: String?

    @Option(help: "This site's .key file (gantry site keygen).")
    var siteKey: String?

    @Option(help: "Record in clear text everything that goes to the hub.")
    var transcript: String?

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: String = "info"

    func run() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError(
                "--log-level is “\(logLevel)”; use trace, debug, info, notice, warning, error or critical")
        }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var log = Logger(label: "gantry-worker")
        log.logLevel = level
        // Nothing this process writes is for other users of the machine.
        umask(0o077)
        // A gateway that dies while we write to its socket is an error code, not a signal.
        signal(SIGPIPE, SIG_IGN)
        do {
            let settings = try settings()
            standBack(settings.nice)
            let worker = try WorkerKeeper(settings: settings, log: log)
            let group = ServiceGroup(
                configuration: .init(
                    // The last one hears of the shutdown first.
                    services: [.init(service: worker), .init(service: ShutdownDeadline(log: log))],
                    gracefulShutdownSignals: [.sigterm, .sigint], logger: log))
            try await group.run()
        } catch {
            log.critical("\(error)")
            throw ExitCode.failure
        }
    }

    /// Linux keeps this for each thread; threads and decoders that are made later take it from those that are here.
    private func standBack(_ nice: Int) {
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        for thread in threads.compactMap({ id_t($0) }) {
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), thread, Int32(nice))
        }
        // Where the kernel groups processes by session, it is the group's value that counts against other sessions (sched(7)).
        try? Data("\(nice)".utf8).write(to: URL(filePath: "/proc/self/autogroup"))
    }

    private func settings() throws -> WorkerSettings {
        let directory = state.map { URL(filePath: $0, directoryHint: .isDirectory).absoluteURL }
        var settings: WorkerSettings
        if let config {
            settings = try WorkerSettings(file: URL(filePath: config).absoluteURL, state: directory)
        } else if let directory {
            settings = WorkerSettings(state: directory)
        } else {
            throw SettingsError.noState
        }
        settings.endpoint = endpoint ?? settings.endpoint
        settings.key = key.map { URL(filePath: $0).absoluteURL } ?? settings.key
        for text in gateway {
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw ValidationError("--gateway is “\(text.prefix(80))”; use NAME=KEY or NAME=FILE.pub")
            }
            settings.gateways[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        if !package.isEmpty { settings.packages = package.map { URL(filePath: $0).absoluteURL } }
        settings.threads = threads ?? settings.threads
        settings.quietSeconds = quietSeconds ?? settings.quietSeconds
        settings.hub = hub ?? settings.hub
        settings.hubKey = hubKey ?? settings.hubKey
        settings.siteKey = siteKey.map { URL(filePath: $0).absoluteURL } ?? settings.siteKey
        settings.transcript = transcript.map { URL(filePath: $0).absoluteURL } ?? settings.transcript
        return settings
    }
}
