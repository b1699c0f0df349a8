// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser

/// `HOST:PORT` of the status page.
struct HTTPAddress: ExpressibleByArgument, Codable, Equatable, CustomStringConvertible {
    let host: String
    let port: Int

    static let standard = HTTPAddress(host: "127.0.0.1", port: 8790)

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), colon > argument.startIndex,
            let port = Int(argument[argument.index(after: colon)...]), (0...65535).contains(port)
        else { return nil }
        // An IPv6 address is written in brackets, as in a URL.
        host = String(argument[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
        self.port = port
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
