// SPDX-License-Identifier: GPL-3.0-or-later

/// What a strategy knows when it decides whether a model gets another round.
public struct OpeningSituation: Sendable, Equatable {
    /// Enrolled sites that hold the model.
    public var sites: [SiteStanding]
    /// Rounds of the model that led to a version.
    public var roundsClosed: Int
    /// When the model's last round ended, closed or void; nil before the first.
    public var lastEndMilliseconds: Int64?
    /// When the model's last round opened; nil before the first.
    public var lastOpeningMilliseconds: Int64?
    public var nowMilliseconds: Int64

    public init(
        sites: [SiteStanding], roundsClosed: Int, lastEndMilliseconds: Int64?, lastOpeningMilliseconds: Int64? = nil,
        nowMilliseconds: Int64
    ) {
        self.sites = sites
        self.roundsClosed = roundsClosed
        self.lastEndMilliseconds = lastEndMilliseconds
        self.lastOpeningMilliseconds = lastOpeningMilliseconds
        self.nowMilliseconds = nowMilliseconds
    }
}
