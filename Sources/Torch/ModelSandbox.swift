// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Sandbox
import Synchronization

/// Where models run: each `TorchModel` is a process of its own (`gantry-model`) that reaches nothing but the memory it is
/// handed. TorchScript is code; one that opens a file, never returns or crashes costs its own process.
///
/// Any thread. Processes take the priority and scheduling class of the thread that loads them, and end with that thread.
public final class ModelSandbox: Sendable {
    public struct Settings: Sendable, Equatable {
        /// The executable `gantry-model`.
        public var executable: String
        /// A process that is silent for so long over one batch hangs. For what is done once (loading, the first run of a
        /// batch size) it has `timesForFirst` as long.
        public var answerSeconds: Double
        /// Memory of its own that a process may use.
        public var privateBytes: Int
        public var policy: SandboxPolicy

        public init(
            executable: String, answerSeconds: Double = 30, privateBytes: Int = 8 << 30,
            policy: SandboxPolicy = .required
        ) {
            self.executable = executable
            self.answerSeconds = answerSeconds
            self.privateBytes = privateBytes
            self.policy = policy
        }

        /// `gantry-model` beside the running program.
        public static var executableBeside: String {
            URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
                .appending(path: "gantry-model").path
        }

        static let timesForFirst = 4.0
    }

    /// How long a silence may last. A process hangs when it was silent for so long and had a processor for so long: on a
    /// machine that is busy it may not have got one. When it was silent for a multiple of that, it hangs in any case.
    public enum Pace: Sendable {
        /// Somebody waits for the answer.
        case prompt
        /// The process gets a processor only while nothing else wants one.
        case patient

        var timesWithoutProcessor: Double { self == .prompt ? 4 : 20 }
    }

    private struct Running {
        var processes: Set<pid_t> = []
        var isInterrupted = false
    }

    public let settings: Settings
    private let running = Mutex(Running())
    private let onStart: @Sendable (SandboxLayers) -> Void
    private let onFailure: @Sendable (ProcessFailure) -> Void

    /// With the defaults, for programs that run a model now and then.
    public static let standard = ModelSandbox(Settings(executable: Settings.executableBeside))

    /// - Parameters:
    ///   - onStart: told, on the thread that loads a model, what confines its process.
    ///   - onFailure: told, on the thread that uses the model, of each process that came to its end by itself or had to
    ///     be ended.
    public init(
        _ settings: Settings, onStart: @escaping @Sendable (SandboxLayers) -> Void = { _ in },
        onFailure: @escaping @Sendable (ProcessFailure) -> Void = { _ in }
    ) {
        self.settings = settings
        self.onStart = onStart
        self.onFailure = onFailure
    }

    /// Ends every model process; what waits for one throws `TorchError.cancelled`, now and from then on.
    public func interrupt() {
        running.withLock { running in
            running.isInterrupted = true
            // The ids are valid: a process is forgotten under this lock before it is reaped.
            for id in running.processes { kill(id, SIGKILL) }
        }
    }

    var isInterrupted: Bool { running.withLock { $0.isInterrupted } }

    /// A process runs. False when the sandbox was interrupted: it has to be ended.
    func remember(_ id: pid_t) -> Bool {
        running.withLock { running in
            if running.isInterrupted { return false }
            running.processes.insert(id)
            return true
        }
    }

    func started(_ layers: SandboxLayers) { onStart(layers) }

    func forget(_ id: pid_t) {
        running.withLock { _ = $0.processes.remove(id) }
    }

    func failed(_ failure: ProcessFailure) { onFailure(failure) }
}
