// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// What site and hub tell each other about their audit logs in hello and welcome, so that neither can write its own anew
/// without the other's noticing: counts and hashes, nothing of what the entries say.
public struct AuditStatement: Codable, Sendable, Equatable {
    /// How far a log goes: so many entries, the last of which has this hash.
    public struct Head: Codable, Sendable, Equatable {
        public var entries: Int
        public var hash: Hash

        public init(entries: Int, hash: Hash) {
            self.entries = entries
            self.hash = hash
        }
    }

    /// The speaker's own log.
    public var head: Head
    /// The speaker's log at the number of entries that the other side asked about last (`asks`); nil when it did not ask,
    /// or the log has no such entry.
    public var proof: Head?
    /// The number of entries up to which the speaker has seen the other side's log: the next statement proves that they
    /// are still the same. Nil before the first.
    public var asks: Int?
    /// Which question this statement answers; nil for none.
    public var answers: Int?

    public init(head: Head, proof: Head? = nil, asks: Int? = nil, answers: Int? = nil) {
        self.head = head
        self.proof = proof
        self.asks = asks
        self.answers = answers
    }

    /// Whether every number in it can be one.
    var isSane: Bool {
        [head.entries, proof?.entries ?? 0, asks ?? 0, answers ?? 0].allSatisfy {
            (0...FederationLimits.count).contains($0)
        }
    }
}
