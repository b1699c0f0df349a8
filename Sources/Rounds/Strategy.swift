// SPDX-License-Identifier: GPL-3.0-or-later

/// Who is asked, when a round closes, and which arithmetic makes the new version. Pure: no clock, no files, no sockets.
///
/// The defaults are synchronous rounds: every site that is present and has enough labels is asked, and the round closes
/// when all of them have answered, or at its deadline when a quorum has.
public protocol Strategy: Sendable {
    /// For settings, logs and the status page.
    var name: String { get }
    var aggregator: any Aggregator { get }

    func opening(_ situation: OpeningSituation, _ settings: RoundSettings) -> Opening
    func decision(_ round: Round, _ settings: RoundSettings, nowMilliseconds: Int64) -> RoundDecision
}

extension Strategy {
    public func opening(_ situation: OpeningSituation, _ settings: RoundSettings) -> Opening {
        if settings.roundLimit > 0, situation.roundsClosed >= settings.roundLimit {
            return .wait(.finished(rounds: situation.roundsClosed))
        }
        let now = situation.nowMilliseconds
        let end = situation.lastEndMilliseconds ?? 0
        let rests = [
            (since: end, seconds: settings.pauseSeconds),
            (since: situation.lastOpeningMilliseconds ?? 0, seconds: settings.intervalSeconds),
        ]
        // A time in the future means that the clock was set back.
        let rest = rests.filter { $0.since <= now }.map { $0.since + Int64($0.seconds) * 1000 - now }.max() ?? 0
        if rest > 0 { return .wait(.pause(secondsLeft: Int((rest + 999) / 1000))) }
        let ready = situation.sites.filter { site in
            site.trainingLabels >= settings.minimumLabels
                && now - site.lastSeenMilliseconds <= Int64(settings.presenceSeconds) * 1000
                // What a site said before the last round ended counts labels as new that are not. (An end in the
                // future means that the clock was set back.)
                && (end > now || site.lastSeenMilliseconds > end)
        }
        guard ready.count >= settings.quorum else {
            return .wait(
                .sites(ready: ready.count, needed: settings.quorum, minimumLabels: settings.minimumLabels))
        }
        if settings.roundLimit == 0, situation.roundsClosed > 0 {
            let found = ready.reduce(0) { $0 + $1.newLabels }
            if found < settings.newLabels { return .wait(.newLabels(found: found, needed: settings.newLabels)) }
        }
        return .open(cohort: Set(ready.map(\.site)))
    }

    public func decision(_ round: Round, _ settings: RoundSettings, nowMilliseconds: Int64) -> RoundDecision {
        guard round.state == .open else { return .wait }
        let count = round.contributions.count
        if round.cohort.count < round.quorum {
            return .void(
                reason: "only \(round.cohort.count) sites of the cohort are left, \(round.quorum) are needed")
        }
        if round.cohort.subtracting(round.outOfLine).isSubset(of: round.contributions.keys) {
            return count >= round.quorum ? .aggregate : .void(reason: Self.tooFewInLine(count, round.quorum))
        }
        guard nowMilliseconds >= round.deadlineMilliseconds else { return .wait }
        if count >= round.quorum { return .aggregate }
        if round.extensionsUsed < settings.extensions {
            return .extend(deadlineMilliseconds: nowMilliseconds + Int64(settings.deadlineSeconds) * 1000)
        }
        return .void(reason: "\(count) of \(round.quorum) needed contributions came by the deadline")
    }

    /// Why a round is void whose screens left too few contributions.
    public static func tooFewInLine(_ count: Int, _ quorum: Int) -> String {
        "\(count) of \(quorum) needed contributions are in line with the round"
    }
}
