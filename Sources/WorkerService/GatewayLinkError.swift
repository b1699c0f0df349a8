// SPDX-License-Identifier: GPL-3.0-or-later

/// Why gateways cannot reach this worker.
enum GatewayLinkError: Error, CustomStringConvertible {
    case noFolder(String, String)
    case foreignFolder(String)
    case openFolder(String, mode: UInt32)
    case inTheWay(String, String)

    var description: String {
        switch self {
        case .noFolder(let path, let reason):
            "the folder \(path) of the endpoint cannot be made: \(reason); "
                + "create it for the user of gantry-worker or choose another with --endpoint"
        case .foreignFolder(let path):
            "the folder \(path) of the endpoint belongs to another user, who could take the socket's place; "
                + "give it to the user of gantry-worker or choose another with --endpoint"
        case .openFolder(let path, let mode):
            "others can write to the folder \(path) of the endpoint (mode 0\(String(mode, radix: 8))) and could take the "
                + "socket's place; run chmod 755 \(path), or choose a folder of its own with --endpoint"
        case .inTheWay(let path, let what):
            "\(path) exists and \(what); it is left alone. Remove it, stop that process, or choose another path with "
                + "--endpoint"
        }
    }
}
