// SPDX-License-Identifier: GPL-3.0-or-later

/// What a program asks of the kernel before it hands bytes of strangers to a confined process.
public enum SandboxPolicy: String, Sendable, CaseIterable {
    /// Without seccomp nothing is decoded or run; the other layers are used where they are there.
    case required
    /// Whatever layers there are.
    case reduced
}
