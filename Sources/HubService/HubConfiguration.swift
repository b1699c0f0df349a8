// SPDX-License-Identifier: GPL-3.0-or-later
import Rounds

/// Where a hub listens and how it runs its rounds.
public struct HubConfiguration: Sendable, Equatable {
    /// For example `tcp://0.0.0.0:5790`.
    public var endpoint: String
    public var settings: RoundSettings
    /// Time between two looks at rounds and deadlines.
    public var tickMilliseconds: Int

    public init(endpoint: String, settings: RoundSettings = RoundSettings(), tickMilliseconds: Int = 250) {
        self.endpoint = endpoint
        self.settings = settings
        self.tickMilliseconds = tickMilliseconds
    }
}
