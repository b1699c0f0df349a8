// SPDX-License-Identifier: GPL-3.0-or-later
import Imaging
import Sandbox

/// How decoders are run.
public struct DecoderSettings: Sendable, Equatable {
    /// The executable `gantry-decoder`.
    public var executable: String
    /// A decoder that is silent for so long over one question hangs.
    public var answerSeconds: Double
    /// Memory of its own that a decoder may use.
    public var privateBytes: Int
    /// Larger instances are not decoded.
    public var instanceBytes: Int
    /// Whole numbers that are read with each header.
    public var elements: [ElementAddress] = []
    /// Whether a decoder goes on where its kernel cannot filter system calls.
    public var sandbox: SandboxPolicy

    public init(
        executable: String, answerSeconds: Double, privateBytes: Int, instanceBytes: Int,
        elements: [ElementAddress] = [], sandbox: SandboxPolicy = .required
    ) {
        self.executable = executable
        self.answerSeconds = answerSeconds
        self.privateBytes = privateBytes
        self.instanceBytes = instanceBytes
        self.elements = elements
        self.sandbox = sandbox
    }

    /// Room for the inputs that one question asks for.
    var outputBytes: Int { 1 << 30 }
}
