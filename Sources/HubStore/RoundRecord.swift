// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage
import Rounds

/// A round as the hub keeps it.
public struct RoundRecord: Sendable, Equatable {
    public let round: Round
    /// What the cohort was told.
    public let config: RoundConfig
    public let endedAtMilliseconds: Int64?
    /// Why it is void; nil in every other state.
    public let reason: String?
    /// The version it made; nil until it is closed.
    public let version: Hash?
}
