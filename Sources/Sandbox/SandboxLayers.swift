// SPDX-License-Identifier: GPL-3.0-or-later
import CSandbox

/// What stands between a confined process and the rest of the machine. Kernels and containers differ.
public struct SandboxLayers: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Only the system calls that computing needs.
    public static let seccomp = SandboxLayers(rawValue: UInt32(GS_LAYER_SYSCALLS))
    /// No files.
    public static let landlock = SandboxLayers(rawValue: UInt32(GS_LAYER_LANDLOCK))
    /// An empty root directory.
    public static let mounts = SandboxLayers(rawValue: UInt32(GS_LAYER_MOUNTS))
    /// No network interface.
    public static let network = SandboxLayers(rawValue: UInt32(GS_LAYER_NETWORK))
    /// Message queues of its own.
    public static let ipc = SandboxLayers(rawValue: UInt32(GS_LAYER_IPC))
    /// A user id that nothing else has: only where the program that starts it is root.
    public static let user = SandboxLayers(rawValue: UInt32(GS_LAYER_USER))
    /// Limits on memory, descriptors, files and threads.
    public static let limits = SandboxLayers(rawValue: UInt32(GS_LAYER_LIMITS))

    private static let named: [(name: String, layer: SandboxLayers)] = [
        ("seccomp", .seccomp), ("limits", .limits), ("landlock", .landlock), ("mounts", .mounts), ("network", .network),
        ("ipc", .ipc), ("user", .user),
    ]

    /// As shown in log and status.
    public var names: [String] { Self.named.filter { contains($0.layer) }.map(\.name) }
    /// Those that are not in force.
    public var missing: [String] { Self.named.filter { !contains($0.layer) }.map(\.name) }
}
