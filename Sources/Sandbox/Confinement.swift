// SPDX-License-Identifier: GPL-3.0-or-later
import CSandbox
import Glibc

/// How the calling process confines itself, in two steps. Both belong to its first thread.
public struct Confinement: Sendable {
    /// Memory of its own, in bytes; 0: not limited.
    public var privateBytes: UInt64
    /// Addresses, which libraries and shared memory take too, in bytes; 0: not limited.
    public var addressBytes: UInt64
    /// Threads at most, the first one included.
    public var threads: UInt32
    /// Whether it may make code in memory and run it, as oneDNN does.
    public var makesCode: Bool
    public var policy: SandboxPolicy
    /// Files and folders that can be read until `seal`.
    public var readable: [String]

    public init(
        privateBytes: UInt64, addressBytes: UInt64, threads: UInt32 = 1, makesCode: Bool = false,
        policy: SandboxPolicy = .required, readable: [String] = []
    ) {
        self.privateBytes = privateBytes
        self.addressBytes = addressBytes
        self.threads = threads
        self.makesCode = makesCode
        self.policy = policy
        self.readable = readable
    }

    /// The channel and the first descriptor that the parent handed on.
    public static let channel = Int32(GS_CHANNEL)
    public static let firstDescriptor = Int32(GS_FIRST)

    /// Leaves the parent's user, network and files, as far as the kernel lets it, and limits memory. To be called while
    /// there is one thread; libraries may then start theirs.
    ///
    /// - Throws: in a process that no `ConfinedProcess` started, or when limits cannot be set.
    public func isolate() throws(SandboxError) {
        let code = withCStructure { gs_isolate($0) }
        if code == EBADF { throw SandboxError("this program is started by gantry-worker, with memory and a socket") }
        guard code == 0 else { throw SandboxError("the process cannot be isolated", code: code) }
    }

    /// Leaves only the system calls that computing needs, for all threads. To be called before the first byte of a
    /// stranger is read.
    ///
    /// - Throws: when the kernel has no seccomp and the policy asks for it.
    public func seal() throws(SandboxError) {
        let code = withCStructure { gs_seal($0) }
        guard code == 0 else {
            throw SandboxError(
                "system calls cannot be filtered (seccomp); the setting “sandbox”: “reduced” goes on without",
                code: code)
        }
    }

    private func withCStructure(_ body: (UnsafePointer<gs_confinement>) -> Int32) -> Int32 {
        let paths = readable.map { strdup($0) }
        defer { paths.forEach { free($0) } }
        let list = paths.map { UnsafePointer($0) } + [nil]
        return list.withUnsafeBufferPointer { list in
            var structure = gs_confinement(
                private_bytes: privateBytes, address_bytes: addressBytes, threads: threads,
                executable_memory: makesCode ? 1 : 0, reduced: policy == .reduced ? 1 : 0, readable: list.baseAddress)
            return body(&structure)
        }
    }
}
