// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import ZeroMQ

/// What the administrator can set; see `names` for the keys.
struct GatewaySettings: Sendable, Equatable {
    static let names = [
        "Name", "Workers", "WorkerKey", "KeyFile", "WorkerUser", "FailOverSeconds", "AcknowledgeSeconds",
        "WindowMegabytes", "StateDirectory", "KeepDays",
        "WorklistHours", "Backfill", "LargestInstanceMegabytes", "RefuseWithoutWorkerSeconds",
        "Rules", "ResultTargets",
    ]

    /// How the worker knows this gateway.
    var name: String
    /// Where workers listen.
    var workers: [WorkerAddress]
    /// Path of this gateway's secret key, for tcp; empty when there is none.
    var keyFile: String
    /// A user beside this process's and root whose local sockets are taken for a worker's; empty when there is none.
    var workerUser: String
    /// How long the studies of a worker that is away wait for it while another one is there.
    var failOverSeconds: Int64
    /// After how long an instance that a connected worker does not acknowledge is sent again.
    var acknowledgeSeconds: Int64
    /// Most bytes of instances in this process.
    var windowBytes: Int
    /// A larger instance is not handed over.
    var largestInstanceBytes: Int
    var stateDirectory: String
    /// How long outcomes, flags and reviews are kept.
    var keepDays: Int64
    /// How far back the worklist looks.
    var worklistHours: Int64
    /// Whether a first start hands over what the host's log already holds.
    var backfill: Bool
    /// 0: instances are accepted whether there is a worker or not.
    var refuseWithoutWorkerSeconds: Int64
    var rules: RoutingRules
    /// Other DICOM nodes that get each result, by the names that the host has for them.
    var resultTargets: [String]

    init(_ reader: inout SettingsReader, defaultName: String, defaultStateDirectory: String) {
        name = reader.text("Name", default: defaultName, maximumBytes: 128)
        let endpoints = reader.list(
            "Workers", default: ["ipc:///run/gantry/worker.ipc"], expected: "a list of ipc:// and tcp:// endpoints",
            accepts: GatewaySettings.isEndpoint)
        let keys = reader.texts(
            "WorkerKey", expected: "a public key (40 characters), or an object with one for each tcp:// endpoint",
            accepts: CurveKeyPair.isKey)
        workers = endpoints.map { endpoint in
            let key = endpoint.hasPrefix("tcp://") ? keys[endpoint] ?? keys[""] : nil
            return WorkerAddress(endpoint: endpoint, publicKey: key ?? "")
        }
        failOverSeconds = reader.integer("FailOverSeconds", default: 30, in: 0...86_400)
        acknowledgeSeconds = reader.integer("AcknowledgeSeconds", default: 600, in: 1...86_400)
        keyFile = reader.text("KeyFile", default: "")
        workerUser = reader.text("WorkerUser", default: "", maximumBytes: 64)
        let megabytes = reader.integer("WindowMegabytes", default: 64, in: 1...65_536)
        windowBytes = Int(megabytes) &* 1_048_576
        let largest = reader.integer("LargestInstanceMegabytes", default: 1_024, in: 1...65_536)
        largestInstanceBytes = Int(largest) &* 1_048_576
        stateDirectory = reader.text("StateDirectory", default: defaultStateDirectory)
        keepDays = reader.integer("KeepDays", default: 60, in: 1...36_500)
        worklistHours = reader.integer("WorklistHours", default: 72, in: 1...876_000)
        backfill = reader.flag("Backfill", default: false)
        refuseWithoutWorkerSeconds = reader.integer("RefuseWithoutWorkerSeconds", default: 0, in: 0...86_400)
        rules = RoutingRules(&reader)
        let targets = reader.list(
            "ResultTargets", default: [], expected: "a list of names of DICOM nodes that the gateway knows",
            accepts: { (1...64).contains($0.utf8.count) })
        resultTargets = Array(Set(targets)).sorted()
    }

    private static func isEndpoint(_ text: String) -> Bool {
        // A local socket's path has at most 107 bytes (unix(7)).
        if text.hasPrefix("ipc://") { return (7...113).contains(text.utf8.count) }
        return text.hasPrefix("tcp://") && (9...300).contains(text.utf8.count)
    }
}
