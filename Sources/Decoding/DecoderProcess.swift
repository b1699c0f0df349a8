// SPDX-License-Identifier: GPL-3.0-or-later
import CDecoding
import Glibc

/// A running `gantry-decoder`. Belongs to the thread that started it, and ends with that thread.
final class DecoderProcess {
    /// Why a question had no answer.
    enum Silence: Error {
        case died
        case hung
    }

    let id: pid_t
    /// Whether it has the current instance open.
    var hasInstance = false
    private let channel: Int32
    private var buffer = [UInt8](repeating: 0, count: DecoderMessage.mostBytes)

    /// Starts a decoder and waits for its `ready`.
    init(_ settings: DecoderSettings, _ memory: DecoderMemory) throws(DecoderError) {
        var ours: Int32 = -1
        var theirs: Int32 = -1
        var code = gd_channel(&ours, &theirs)
        guard code == 0 else { throw .unavailable("no socket pair: \(text(ofCode: code))") }
        let arguments = [
            settings.executable, String(memory.input.count), String(memory.output.count), String(settings.privateBytes),
        ]
        var pointers = arguments.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        pointers.append(nil)
        var id: pid_t = 0
        code = gd_spawn(settings.executable, pointers, theirs, memory.descriptor, &id)
        close(theirs)
        guard code == 0 else {
            close(ours)
            throw .unavailable("\(settings.executable): \(text(ofCode: code))")
        }
        self.id = id
        channel = ours
        guard case .ready? = try? answer(seconds: 60) else {
            throw .unavailable("\(settings.executable) \(end()) before it was ready")
        }
    }

    /// Asks and waits for the answer.
    func ask(_ question: DecoderMessage, seconds: Double) throws(Silence) -> DecoderMessage {
        let bytes = question.bytes
        guard gd_send(channel, bytes, bytes.count) == 0 else { throw .died }
        return try answer(seconds: seconds)
    }

    private func answer(seconds: Double) throws(Silence) -> DecoderMessage {
        var count = 0
        let code = gd_receive(channel, &buffer, buffer.count, Int64(seconds * 1000), &count)
        if code == ETIMEDOUT { throw .hung }
        // A message that cannot be read comes from a decoder that is no longer itself.
        guard code == 0, let message = DecoderMessage(buffer.prefix(count)) else { throw .died }
        return message
    }

    /// Ends the process if it has not ended, and says how it ended. No other call may follow.
    func end() -> String {
        kill(id, SIGKILL)
        close(channel)
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0
            ? "ended with status \(status >> 8 & 0xFF)"
            : "was ended by signal \(signal) (\(String(cString: strsignal(signal))))"
    }
}
