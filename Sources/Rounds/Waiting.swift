// SPDX-License-Identifier: GPL-3.0-or-later

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
