// SPDX-License-Identifier: GPL-3.0-or-later
import Decoding
import Foundation
import Results
import Sandbox
import Statements
import Torch
import Triage
import Wire
import ZeroMQ

/// How a worker runs. Every setting but the state directory has a default.
public struct WorkerSettings: Sendable, Equatable {
    /// Shown in the gateway's status.
    public var name = "worker"
    /// Where gateways connect: `ipc://` (the socket is 0600) or `tcp://` (with keys only).
    public var endpoint = "ipc:///run/gantry/worker.ipc"
    /// This worker's `.key` file, for tcp.
    public var key: URL?
    /// For tcp: each gateway's name and its public key (Z85, or a `.pub` file).
    public var gateways: [String: String] = [:]
    public var state: URL
    /// Model packages (directories or zip files) that are live from the start on; nil: nothing is said about them, and
    /// what is installed stays. A package that was named here and no longer is stops, so an empty list means none.
    public var packages: [URL]?
    /// Threads of libtorch for scoring.
    public var threads = max(1, ProcessInfo.processInfo.activeProcessorCount)
    /// How far the worker stands back from other programs of this machine when processors are short, as of nice(1): the
    /// gateway beside it goes first.
    public var nice = 10
    /// Threads that decode and preprocess.
    public var decodeThreads = min(2, max(1, ProcessInfo.processInfo.activeProcessorCount))
    /// The executable that decodes; nil: `gantry-decoder` beside the running program.
    public var decoder: URL?
    /// A decoder that is silent for so long over an instance, or over some frames of it, is replaced.
    public var decodeSeconds = 30.0
    /// Memory that each decoder may use for itself.
    public var decodeMegabytes = 2048
    /// Whether decoders go on where the kernel cannot filter system calls.
    public var sandbox = SandboxPolicy.required
    /// Larger instances are set aside.
    public var instanceMegabytes = 1024
    /// The executable that runs models; nil: `gantry-model` beside the running program.
    public var modelProcess: URL?
    /// A model that is silent for so long over one batch is ended.
    public var modelSeconds = 30.0
    /// Memory that each model process may use for itself.
    public var modelMegabytes = 8192
    /// Slices scored in one go at most.
    public var batchSlices = 16
    /// A study without a count of its own is complete when nothing came for so long.
    public var quietSeconds = 2.0
    /// The same by modality, for example `["US": 30]`.
    public var quietSecondsByModality: [String: Double] = [:]
    /// The same while every series that was begun is full by the counts that it carries itself.
    public var countedQuietSeconds = 0.5
    /// Where this site's modalities write how many instances there are.
    public var expectedCounts: [CountRule] = []
    /// Payload bytes that gateways may have in flight, together.
    public var memoryMegabytes = 256
    /// Disk for preprocessed slices.
    public var exampleMegabytes = 4096
    /// Share of the patients whose labels judge new versions instead of training.
    public var heldOutShare = 0.2
    /// A flag that is not acknowledged is sent again after so long.
    public var resendSeconds = 5.0
    /// Which final flags become DICOM objects in the archive.
    public var results = Results.flagged
    /// A file that says what codes in the department's documents mean (`CodeMap`); nil: the built-in ones and the
    /// findings' own.
    public var labelCodes: URL?
    /// Whether those also become a Key Object Selection, under which title.
    public var keyObjects = false
    public var keyObjectTitle = KeyObjectTitle.ofInterest
    /// How often the gateways hear about versions and training.
    public var statusSeconds = 3.0
    /// The federation hub, `tcp://host:port`; nil: the site stays alone.
    public var hub: String?
    /// The hub's public key (Z85).
    public var hubKey: String?
    /// The site's `.key` file.
    public var siteKey: URL?
    /// How often the hub hears from the site.
    public var hubSeconds = 2.0
    /// A file that records in clear text every frame that goes to the hub.
    public var transcript: URL?
    /// What no package and no hub can change.
    var limits = SiteLimits()
    /// A package or a version of a model that takes more is not fetched from a hub.
    public var packageMegabytes = 4096
    /// Disk for everything that comes from the hub, together.
    public var hubMegabytes = 16_384
    /// Disk that stays free of what comes from the hub or is made of it; nil: 2 GiB or 5 % of the disk, whichever is
    /// more, and no more than a quarter of it.
    public var diskReserveMegabytes: Int?

    public enum Results: String, Sendable, CaseIterable {
        /// Studies with a positive finding.
        case flagged
        case every
        case off
    }

    public init(state: URL) {
        self.state = state
    }

    /// Over tcp a stranger's frame is bounded by this before he has proved anything; over ipc only this user and root come
    /// in, and gateways of an older release send an instance in one frame.
    var largestFrameBytes: Int64 {
        let isLocal = endpoint.hasPrefix("ipc://")
        let payload = isLocal ? max(1024, instanceMegabytes) << 20 : Capabilities.current.pieceBytes ?? 1 << 20
        // Beside it: the frame's own head, and CURVE's.
        return Int64(payload) + 4096
    }

    /// What gateways may have on their way to us, beside what was read.
    var connectionLimits: ConnectionLimits {
        ConnectionLimits(unreadBytes: UInt64(max(memoryMegabytes, instanceMegabytes) + 64) << 20)
    }

    /// - Throws: `SettingsError` when the decoder is not there.
    func decoders() throws(SettingsError) -> DecoderSettings {
        let beside = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let file = decoder ?? beside.appending(path: "gantry-decoder")
        guard access(file.path, X_OK) == 0 else {
            throw .badValue(key: "decoder", expected: "the executable gantry-decoder; there is none at \(file.path)")
        }
        return DecoderSettings(
            executable: file.path, answerSeconds: decodeSeconds, privateBytes: decodeMegabytes << 20,
            instanceBytes: instanceMegabytes << 20, elements: expectedCounts.map(\.element), sandbox: sandbox)
    }

    /// - Throws: `SettingsError` when the executable is not there.
    func modelProcesses() throws(SettingsError) -> ModelSandbox.Settings {
        let executable = modelProcess?.path ?? ModelSandbox.Settings.executableBeside
        guard access(executable, X_OK) == 0 else {
            throw .badValue(
                key: "model_process", expected: "the executable gantry-model; there is none at \(executable)")
        }
        return ModelSandbox.Settings(
            executable: executable, answerSeconds: modelSeconds, privateBytes: modelMegabytes << 20,
            policy: sandbox)
    }

    /// - Throws: `CodeMap.FileError` when the file cannot be used.
    func codes() throws(CodeMap.FileError) -> CodeMap {
        guard let labelCodes else { return .standard }
        return try CodeMap(file: labelCodes)
    }

    /// The quiet period for a modality.
    func quietPeriod(modality: String) -> Completeness.QuietPeriod {
        Completeness.QuietPeriod(
            milliseconds: Int64((quietSecondsByModality[modality] ?? quietSeconds) * 1000),
            countedMilliseconds: Int64(countedQuietSeconds * 1000))
    }

    /// - Throws: `SettingsError` that names the first setting that cannot work.
    public func check() throws(SettingsError) {
        func require(_ isGood: Bool, _ key: String, _ expected: String) throws(SettingsError) {
            if !isGood { throw .badValue(key: key, expected: expected) }
        }
        try require(endpoint.hasPrefix("ipc://") || endpoint.hasPrefix("tcp://"), "endpoint", "ipc://… or tcp://…")
        if endpoint.hasPrefix("tcp://") {
            try require(
                key != nil, "key", "this worker's .key file (gantry site keygen), since tcp is used with keys only")
            try require(!gateways.isEmpty, "gateways", "the name and public key of each gateway that may connect")
        } else {
            try require(key == nil, "key", "left out with an ipc:// endpoint, where the socket's owner is what counts")
            try require(gateways.isEmpty, "gateways", "left out with an ipc:// endpoint")
        }
        try require((1...256).contains(threads), "threads", "1 to 256")
        try require((0...19).contains(nice), "nice", "0 to 19")
        try require((1...64).contains(decodeThreads), "decode_threads", "1 to 64")
        try require((0.1...3600).contains(decodeSeconds), "decode_seconds", "0.1 to 3600 seconds")
        try require((64...1 << 20).contains(decodeMegabytes), "decode_megabytes", "64 to 1048576")
        try require((1...4096).contains(instanceMegabytes), "instance_megabytes", "1 to 4096")
        try require((0.1...3600).contains(modelSeconds), "model_seconds", "0.1 to 3600 seconds")
        try require((256...1 << 20).contains(modelMegabytes), "model_megabytes", "256 to 1048576")
        try require((1...1024).contains(batchSlices), "batch_slices", "1 to 1024")
        try require((0...86_400).contains(quietSeconds), "quiet_seconds", "0 to 86400 seconds")
        try require(
            quietSecondsByModality.values.allSatisfy { (0...86_400).contains($0) }, "quiet_seconds_by_modality",
            "0 to 86400 seconds for each modality")
        try require((0...86_400).contains(countedQuietSeconds), "counted_quiet_seconds", "0 to 86400 seconds")
        try require(expectedCounts.count <= 64, "expected_counts", "at most 64 rules")
        try require((1...1 << 20).contains(memoryMegabytes), "memory_megabytes", "1 to 1048576")
        try require((0...1 << 30).contains(exampleMegabytes), "example_megabytes", "0 to 1073741824")
        try require((0...0.9).contains(heldOutShare), "held_out_share", "0 to 0.9")
        try require((0.1...3600).contains(resendSeconds), "resend_seconds", "0.1 to 3600")
        try require((0.1...3600).contains(statusSeconds), "status_seconds", "0.1 to 3600")
        try require((0.05...3600).contains(hubSeconds), "hub_seconds", "0.05 to 3600")
        try limits.check()
        try require((1...1 << 20).contains(packageMegabytes), "package_megabytes", "1 to 1048576")
        try require((1...1 << 30).contains(hubMegabytes), "hub_megabytes", "1 to 1073741824")
        try require(
            (0...1 << 30).contains(diskReserveMegabytes ?? 0), "disk_reserve_megabytes", "0 to 1073741824, or left out")
        guard let hub else { return }
        try require(hub.hasPrefix("tcp://"), "hub", "tcp://host:port")
        try require(hubKey != nil, "hub_key", "the hub's public key, since hub is set")
        try require(siteKey != nil, "site_key", "the site's .key file (gantry site keygen), since hub is set")
    }
}
