// SPDX-License-Identifier: GPL-3.0-or-later
import Glibc

/// Why a process cannot be started or confined.
public struct SandboxError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }

    /// - Parameter code: an errno.
    init(_ description: String, code: Int32) {
        self.description = "\(description): \(String(cString: strerror(code)))"
    }
}
