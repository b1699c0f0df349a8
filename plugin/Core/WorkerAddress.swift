// SPDX-License-Identifier: GPL-3.0-or-later

/// Where a worker listens, and by what the gateway knows that it is the worker.
struct WorkerAddress: Sendable, Equatable {
    /// `ipc://` and the path of a socket, or `tcp://HOST:PORT`.
    var endpoint: String
    /// The worker's public key (Z85); empty for ipc, where the socket's owner is what counts.
    var publicKey = ""

    /// The path of a local socket; nil for tcp.
    var socketPath: String? {
        endpoint.hasPrefix("ipc://") ? String(endpoint.dropFirst(6)) : nil
    }
}
