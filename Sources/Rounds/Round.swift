// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// One round: a base version, the sites that were asked, and what came from them. Times are Unix milliseconds of the
/// wall clock, so that a round survives a restart of the hub.
public struct Round: Sendable, Equatable {
    /// Unique at the hub, ascending.
    public var number: Int
    public var base: ModelVersion
    /// Sites that were asked, without those revoked since.
    public var cohort: Set<String>
    public var quorum: Int
    public var openedAtMilliseconds: Int64
    public var deadlineMilliseconds: Int64
    /// How often the deadline was moved.
    public var extensionsUsed: Int
    /// The committed delta of each site, by site name.
    public var contributions: [String: Contribution]
    /// Sites of the cohort whose delta a screen kept out; they have had their say in this round.
    public var outOfLine: Set<String>
    public var state: State

    /// open → aggregating → closed, or open → void, or aggregating → void.
    public enum State: String, Sendable, CaseIterable {
        /// Deltas are taken.
        case open
        /// No more deltas are taken; the new version is being computed from the committed ones.
        case aggregating
        /// There is a new version.
        case closed
        /// There is no new version, for a reason that the round names.
        case void

        public var isOver: Bool { self == .closed || self == .void }
    }

    public init(
        number: Int, base: ModelVersion, cohort: Set<String>, quorum: Int, openedAtMilliseconds: Int64,
        deadlineMilliseconds: Int64, extensionsUsed: Int = 0, contributions: [String: Contribution] = [:],
        outOfLine: Set<String> = [], state: State = .open
    ) {
        self.number = number
        self.base = base
        self.cohort = cohort
        self.quorum = quorum
        self.openedAtMilliseconds = openedAtMilliseconds
        self.deadlineMilliseconds = deadlineMilliseconds
        self.extensionsUsed = extensionsUsed
        self.contributions = contributions
        self.outOfLine = outOfLine
        self.state = state
    }

    /// Whole seconds until the deadline, never below 0.
    public func secondsLeft(atMilliseconds now: Int64) -> Int {
        Int(max(0, (deadlineMilliseconds - now + 999) / 1000))
    }
}
