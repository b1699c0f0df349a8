// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// What the administrator can set; see `names` for the keys.
struct GatewaySettings: Sendable, Equatable {
    static let names = [
        "Name", "Workers", "WindowMegabytes", "StateDirectory", "KeepDays", "WorklistHours", "Backfill",
        "RefuseWithoutWorkerSeconds", "Rules",
    ]

    /// How the worker knows this gateway.
    var name: String
    /// ZeroMQ endpoints of the workers, in order of preference.
    var workers: [String]
    /// Most bytes of instances in this process.
    var windowBytes: Int
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

    init(_ reader: inout SettingsReader, defaultName: String, defaultStateDirectory: String) {
        name = reader.text("Name", default: defaultName, maximumBytes: 128)
        workers = reader.list(
            "Workers", default: ["ipc:///run/gantry/worker.ipc"],
            expected: "a list of ipc:// endpoints (tcp:// is not offered without keys)",
            accepts: { $0.hasPrefix("ipc://") && (7...110).contains($0.utf8.count) })
        let megabytes = reader.integer("WindowMegabytes", default: 64, in: 1...65_536)
        windowBytes = Int(megabytes) &* 1_048_576
        stateDirectory = reader.text("StateDirectory", default: defaultStateDirectory)
        keepDays = reader.integer("KeepDays", default: 60, in: 1...36_500)
        worklistHours = reader.integer("WorklistHours", default: 72, in: 1...876_000)
        backfill = reader.flag("Backfill", default: false)
        refuseWithoutWorkerSeconds = reader.integer("RefuseWithoutWorkerSeconds", default: 0, in: 0...86_400)
        rules = RoutingRules(&reader)
    }
}
