// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// Sends stored results to other nodes, on a thread of its own: a node may take its time to answer.
///
/// Each target has its pauses: after a failure it is left alone for longer and longer, whatever waits for it.
final class ResultSender {
    private static let pollMilliseconds = 250
    private static let firstPauseMilliseconds: Int64 = 5_000
    private static let longestPauseMilliseconds: Int64 = 600_000

    private struct Target {
        var name: String
        /// Nothing is due as far as known.
        var isIdle = false
        var nextAttemptAt: Int64 = 0
        /// In a row.
        var failures: Int64 = 0
        var reason = ""
    }

    private let shared: Shared
    private var targets: [Target]
    private var hasForgotten = false

    init(_ shared: Shared) {
        self.shared = shared
        targets = shared.settings.resultTargets.map { Target(name: $0) }
    }

    func run() {
        while !shared.isStopping {
            guard shared.isHostReady, turn() else {
                shared.pause(milliseconds: ResultSender.pollMilliseconds)
                continue
            }
        }
    }

    /// One object to each target that may be asked now.
    ///
    /// - Returns: whether there may be more to do now.
    private func turn() -> Bool {
        if shared.takeErrand(.send) {
            for index in targets.indices { targets[index].isIdle = false }
        }
        var hasWork = false
        do {
            if !hasForgotten {
                try shared.store.forgetSends(exceptTo: targets.map(\.name))
                hasForgotten = true
            }
            for index in targets.indices where !shared.isStopping {
                var target = targets[index]
                guard !target.isIdle, Clock.steadyMilliseconds() >= target.nextAttemptAt else { continue }
                if try sendNext(to: &target) { hasWork = true }
                targets[index] = target
            }
        } catch {
            // The next turn tries again; what was sent and could not be noted is sent again, which does no harm.
            return false
        }
        publish()
        return hasWork
    }

    private func sendNext(to target: inout Target) throws(SQLiteError) -> Bool {
        guard let object = try shared.store.nextSend(to: target.name) else {
            target.isIdle = true
            return false
        }
        let (code, words) = shared.host.send(object, to: target.name)
        switch code {
        case Code.ok:
            if target.failures > 0 {
                shared.host.warning("Results are sent to \(target.name) again.")
            }
            target.failures = 0
            target.nextAttemptAt = 0
            target.reason = ""
            try shared.store.markSend(of: object, to: target.name, state: "sent", reason: "")
            return true
        case Code.notFound:
            let reason = words.isEmpty ? "the gateway no longer has it" : words
            try shared.store.markSend(of: object, to: target.name, state: "failed", reason: reason)
            return true
        default:
            // A stop makes the host give up, which is nobody's failure.
            guard !shared.isStopping else { return false }
            let isUnknown = code == Code.badArgument
            let reason = words.isEmpty ? (isUnknown ? "no such target" : "code \(code)") : words
            fail(&target, reason, isUnknown: isUnknown)
            try shared.store.markSend(of: object, to: target.name, state: "due", reason: reason)
            return false
        }
    }

    private func fail(_ target: inout Target, _ reason: String, isUnknown: Bool) {
        let longest = ResultSender.longestPauseMilliseconds
        let pause = isUnknown ? longest : min(ResultSender.firstPauseMilliseconds << min(target.failures, 20), longest)
        if target.failures == 0 || target.reason != reason {
            shared.host.warning(
                "Results cannot be sent to \(target.name): \(reason). They are kept and sent later; the next attempt is "
                    + "in \(pause / 1_000) s.")
        }
        target.failures &+= 1
        target.reason = reason
        target.nextAttemptAt = Clock.steadyMilliseconds() &+ pause
        let name = target.name
        shared.live.update { $0.sendFailures[name, default: 0] &+= 1 }
    }

    private func publish() {
        let reasons = Dictionary(
            targets.filter { !$0.reason.isEmpty }.map { ($0.name, $0.reason) }, uniquingKeysWith: { first, _ in first })
        shared.live.update { $0.sendReasons = reasons }
    }
}
