// SPDX-License-Identifier: GPL-3.0-or-later

/// What the sites made of a version.
public struct VersionStanding: Sendable, Equatable {
    /// Enrolled sites where it is live.
    public var live: Int
    /// Enrolled sites whose guard refused it.
    public var refused: Int

    public init(live: Int, refused: Int) {
        self.live = live
        self.refused = refused
    }

    /// More than half of the sites that have decided refused it, and as many as a round needs have decided: one site's word
    /// is not enough where a round needs two. Sites that wait for labels have decided nothing.
    public func isRefusedByMost(quorum: Int) -> Bool {
        refused > live && live + refused >= max(1, quorum)
    }

    /// Where the next round starts: the newest link of the chain that most sites have not refused. The package's own
    /// version, the end of the chain, is never refused by this rule.
    ///
    /// - Parameter chain: the current version first, then the one it was made from, and so on.
    /// - Returns: an index of `chain`; 0: nothing changes.
    public static func start(of chain: [VersionStanding], quorum: Int) -> Int {
        chain.firstIndex { !$0.isRefusedByMost(quorum: quorum) } ?? max(0, chain.count - 1)
    }
}
