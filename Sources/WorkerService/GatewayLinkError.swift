// SPDX-License-Identifier: GPL-3.0-or-later

/// Why gateways cannot reach this worker.
enum GatewayLinkError: Error, CustomStringConvertible {
    case noFolder(String, String)

    var description: String {
        switch self {
        case .noFolder(let path, let reason):
            "the folder \(path) of the endpoint cannot be made: \(reason); "
                + "create it for the user of gantry-worker or choose another with --endpoint"
        }
    }
}
