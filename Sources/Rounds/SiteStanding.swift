// SPDX-License-Identifier: GPL-3.0-or-later

/// What an enrolled site last said about one model.
public struct SiteStanding: Sendable, Equatable {
    public var site: String
    public var lastSeenMilliseconds: Int64
    public var trainingLabels: Int
    /// Of these, the ones that came after the site's last contribution and that the hub has not counted before, see
    /// `LabelCount`.
    public var newLabels: Int

    public init(site: String, lastSeenMilliseconds: Int64, trainingLabels: Int, newLabels: Int) {
        self.site = site
        self.lastSeenMilliseconds = lastSeenMilliseconds
        self.trainingLabels = trainingLabels
        self.newLabels = newLabels
    }
}
