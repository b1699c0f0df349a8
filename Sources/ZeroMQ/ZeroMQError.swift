// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// A libzmq call that failed: which one, on what, and libzmq's own words.
public struct ZeroMQError: Error, CustomStringConvertible, Equatable {
    /// libzmq's errno, for example `ETERM`.
    public let code: Int32
    /// The call, for example `bind ipc:///run/gantry/worker.ipc`.
    public let operation: String

    /// The endpoint itself is wrong, so that trying again does not help.
    public var isBadAddress: Bool { [EINVAL, ENODEV, ENAMETOOLONG, EPROTONOSUPPORT].contains(code) }

    public var description: String {
        "\(operation): \(String(cString: zmq_strerror(code)))"
    }

    /// The error that libzmq just reported on this thread.
    static func last(_ operation: String) -> ZeroMQError {
        ZeroMQError(code: zmq_errno(), operation: operation)
    }
}
