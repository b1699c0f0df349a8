// SPDX-License-Identifier: GPL-3.0-or-later

/// What a strategy knows when it decides whether a model gets another round.
public struct OpeningSituation: Sendable, Equatable {
    /// Enrolled sites that hold the model.
    public var sites: [SiteStanding]
    /// Rounds of the model that led to a version.
    public var roundsClosed: Int
    /// When the model's last round ended, closed or void; nil before the first.
    public var lastEndMilliseconds: Int64?
    public var nowMilliseconds: Int64

    public init(sites: [SiteStanding], roundsClosed: Int, lastEndMilliseconds: Int64?, nowMilliseconds: Int64) {
        self.sites = sites
        self.roundsClosed = roundsClosed
        self.lastEndMilliseconds = lastEndMilliseconds
        self.nowMilliseconds = nowMilliseconds
    }
}

/// Whether a round opens now.
public enum Opening: Sendable, Equatable {
    case open(cohort: Set<String>)
    case wait(Waiting)
}

/// Why no round opens now; shown to the operator.
public enum Waiting: Sendable, Equatable, CustomStringConvertible {
    /// The limit of rounds is reached.
    case finished(rounds: Int)
    case pause(secondsLeft: Int)
    case sites(ready: Int, needed: Int, minimumLabels: Int)
    case newLabels(found: Int, needed: Int)

    public var description: String {
        switch self {
        case .finished(let rounds): "all \(rounds) rounds are done"
        case .pause(let seconds): "pause, \(seconds) s left"
        case .sites(let ready, let needed, let minimumLabels):
            "\(ready) of \(needed) sites are connected with at least \(minimumLabels) training labels"
        case .newLabels(let found, let needed): "\(found) of \(needed) new labels"
        }
    }
}
