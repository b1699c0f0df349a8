// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// Lines on their way to the host's log. They are handed over on a thread of their own that holds no lock of Gantry's:
/// the host may take its time there, take its own locks, and call functions of gantry.h.
final class HostLog: Sendable {
    typealias Write = @Sendable (_ level: Int32, _ line: String) -> Void

    /// Lines that wait; the ones after them are counted and left out.
    private static let capacity = 1_000
    private static let longestLine = 2_000

    private struct State {
        var lines: [(level: Int32, text: String)] = []
        var leftOut = 0
        var isWriting = false
        var isStopping = false
    }

    private let state = Mutex(State())
    private let wakeup: Wakeup

    /// - Throws: `ZeroMQError` when no file descriptor is left.
    init() throws(ZeroMQError) { wakeup = try Wakeup() }

    /// Any thread; never waits.
    ///
    /// - Parameter line: control characters become spaces, so that it stays one line.
    func put(_ level: Int32, _ line: String) {
        let text = HostLog.oneLine(line)
        state.withLock { state in
            if state.lines.count < HostLog.capacity {
                state.lines.append((level, text))
            } else {
                state.leftOut &+= 1
            }
        }
        wakeup.signal()
    }

    /// The thread's body: writes until it is stopped and nothing is left.
    func run(_ write: Write) {
        while true {
            let (lines, leftOut, isLast) = state.withLock { state in
                let taken = (state.lines, state.leftOut, state.isStopping)
                state.lines = []
                state.leftOut = 0
                state.isWriting = !taken.0.isEmpty
                return taken
            }
            for line in lines { write(line.level, line.text) }
            if leftOut > 0 { write(1, "\(leftOut) lines were left out here: the gateway's log is too slow.") }
            state.withLock { $0.isWriting = false }
            if !lines.isEmpty { continue }
            if isLast { return }
            do {
                try waitForInput(on: [], or: wakeup, timeoutMilliseconds: 1_000)
            } catch {
                usleep(100_000)
            }
        }
    }

    /// Waits until every line so far is written.
    func flush(timeoutMilliseconds: Int64) {
        let deadline = Clock.steadyMilliseconds() &+ timeoutMilliseconds
        while state.withLock({ $0.isWriting || !$0.lines.isEmpty }), Clock.steadyMilliseconds() < deadline {
            usleep(500)
        }
    }

    func stop() {
        state.withLock { $0.isStopping = true }
        wakeup.signal()
    }

    private static func oneLine(_ text: String) -> String {
        let isClean = text.utf8.count <= longestLine && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        if isClean { return text }
        var line = ""
        for scalar in text.unicodeScalars.prefix(longestLine) {
            line.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
        }
        return line
    }
}
