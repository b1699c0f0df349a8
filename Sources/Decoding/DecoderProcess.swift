// SPDX-License-Identifier: GPL-3.0-or-later
import Glibc
import Sandbox

/// A running `gantry-decoder`. Belongs to the thread that started it, and ends with that thread.
final class DecoderProcess {
    typealias Silence = ConfinedProcess.Silence

    /// Whether it has the current instance open.
    var hasInstance = false
    /// What confines it.
    let layers: SandboxLayers
    private let process: ConfinedProcess

    var id: pid_t { process.id }

    /// Starts a decoder and waits for its `ready`.
    init(_ settings: DecoderSettings, _ memory: SharedMemory) throws(DecoderError) {
        do throws(SandboxError) {
            process = try ConfinedProcess(
                executable: settings.executable,
                arguments: [
                    String(memory.input.count), String(memory.output.count), String(settings.privateBytes),
                    settings.sandbox.rawValue,
                ],
                descriptors: [memory.descriptor], messageBytes: DecoderMessage.mostBytes)
        } catch {
            throw .unavailable(error.description)
        }
        guard let ready = try? process.receive(seconds: 20), DecoderMessage(ready) == .ready else {
            throw .unavailable("\(settings.executable) \(process.end()) before it was ready")
        }
        layers = process.layers
    }

    /// Asks and waits for the answer.
    func ask(_ question: DecoderMessage, seconds: Double) throws(Silence) -> DecoderMessage {
        try process.send(question.bytes)
        // A message that cannot be read comes from a decoder that is no longer itself.
        guard let message = DecoderMessage(try process.receive(seconds: seconds)) else { throw .died }
        return message
    }

    /// Ends the process if it has not ended, and says how it ended. No other call may follow.
    func end() -> String { process.end().description }
}
