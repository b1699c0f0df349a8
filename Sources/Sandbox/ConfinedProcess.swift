// SPDX-License-Identifier: GPL-3.0-or-later
import CSandbox
import Glibc

/// A running program that confines itself with `Confinement`: a decoder, a model's process.
///
/// It has nothing of its parent but a channel for messages, the descriptors it was handed, and the environment it was
/// given. Belongs to the thread that started it, and ends with that thread.
public final class ConfinedProcess {
    /// Why there was no message.
    public enum Silence: Error, Sendable {
        case died
        case hung
    }

    public var id: pid_t { child.process }
    private var child: gs_child
    private var buffer: [UInt8]

    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - environment: beside what every confined process gets: no time zone, no backtraces. Those of the Swift runtime
    ///     take seconds, show memory, and let a process go on that got its signal from outside.
    ///   - descriptors: become `Confinement.firstDescriptor` and following; at most four, which stay the caller's.
    ///   - messageBytes: no message of the process is longer.
    public init(
        executable: String, arguments: [String], environment: [String: String] = [:], descriptors: [Int32],
        messageBytes: Int
    ) throws(SandboxError) {
        let always = ["SWIFT_BACKTRACE": "enable=no", "TZ": "UTC0", "LC_ALL": "C.UTF-8"]
        let variables = always.merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
        var arguments = ([executable] + arguments).map { strdup($0) } + [nil]
        var texts = variables.map { strdup($0) } + [nil]
        defer { (arguments + texts).forEach { free($0) } }
        var child = gs_child()
        let code = gs_start(executable, &arguments, &texts, descriptors, descriptors.count, &child)
        guard code == 0 else { throw SandboxError(executable, code: code) }
        self.child = child
        buffer = [UInt8](repeating: 0, count: messageBytes)
    }

    /// The layers it found in force. Said by itself, so read them before it sees anything of a stranger.
    public var layers: SandboxLayers { SandboxLayers(rawValue: gs_layers(&child)) }

    /// - Throws: `died` when nobody will read it.
    public func send(_ message: [UInt8]) throws(Silence) {
        guard gs_send(child.channel, message, message.count) == 0 else { throw .died }
    }

    /// Waits for the next message. One that is too long comes from a process that is no longer itself: `died`.
    public func receive(seconds: Double) throws(Silence) -> ArraySlice<UInt8> {
        var count = 0
        let code = gs_receive(child.channel, &buffer, buffer.count, Int64(seconds * 1000), &count)
        if code == ETIMEDOUT { throw .hung }
        guard code == 0 else { throw .died }
        return buffer.prefix(count)
    }

    /// Ends the process if it has not ended, and says how it ended. No other call may follow.
    public func end() -> Ending {
        let status = gs_stop(&child)
        defer { gs_end(&child) }
        var text = [CChar](repeating: 0, count: 1024)
        let refusal = gs_refusal(&child, &text, text.count) != 0 ? Self.shown(text.prefix { $0 != 0 }) : nil
        let count = gs_errors(&child, &text, text.count)
        return Ending(status: status, refusal: refusal, errors: Self.shown(text.prefix(count)))
    }

    /// What a process that cannot be trusted has written, fit for a log: one line without control characters.
    private static func shown(_ text: some Sequence<CChar>) -> String {
        let scalars = String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self).unicodeScalars
        let shown = scalars.map { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: Character(" ")
            default: Character(scalar)
            }
        }
        return String(shown).split(separator: " ").joined(separator: " ")
    }

    public struct Ending: Sendable, CustomStringConvertible {
        /// As of waitpid(2).
        let status: Int32
        /// The system call for which it was refused and ended, such as `openat("/etc/passwd")`.
        public let refusal: String?
        /// What it wrote as errors; bounded, and empty when nothing.
        public let errors: String

        public var description: String {
            if let refusal { return "tried \(refusal), which its sandbox refuses, and was ended" }
            let signal = status & 0x7F
            let end =
                signal == 0
                ? "ended with status \(status >> 8 & 0xFF)"
                : "was ended by signal \(signal) (\(String(cString: strsignal(signal))))"
            return errors.isEmpty ? end : "\(end), saying “\(errors)”"
        }
    }
}
