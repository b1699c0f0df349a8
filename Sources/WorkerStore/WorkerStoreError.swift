// SPDX-License-Identifier: GPL-3.0-or-later

/// Why the worker's state cannot be used. The text names the file and what to do.
public enum WorkerStoreError: Error, Equatable, CustomStringConvertible {
    case noState(String)
    case cannotWrite(String, String)
    case newerSchema(String)
    case unusable(String, String)
    /// The disk is full or may not be written at present.
    case unavailable(String, String)
    /// It was set aside while it was in use; the store has to be opened again.
    case damaged(String, String)

    public var description: String {
        switch self {
        case .noState(let path):
            "no worker.sqlite in \(path): give the state directory of a gantry-worker that has run (its `state` setting)"
        case .cannotWrite(let path, let reason):
            "the state directory \(path) cannot be made or written: \(reason); "
                + "create it for the user of gantry-worker or choose another with --state"
        case .newerSchema(let path):
            "\(path) was written by a newer gantry-worker; install that version again or use another state directory"
        case .unavailable(let path, let reason):
            "\(path) cannot be used at present: \(reason); the worker tries again until the disk can be written"
        case .damaged(let path, let reason):
            "\(path) is damaged: \(reason); it was set aside"
        case .unusable(let path, let reason):
            "\(path) cannot be used: \(reason); if it is damaged, move it away: "
                + "the worker starts anew and the gateway sends again what was not acknowledged"
        }
    }
}
