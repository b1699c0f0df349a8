// SPDX-License-Identifier: GPL-3.0-or-later

/// Open rounds that the site does not train in, and which of them have been said. A value of the hub link's thread.
struct DeclinedRounds {
    struct Round: Encodable, Equatable {
        var model: String
        var round: Int
        /// `SiteLimits.RoundRefusal` as text.
        var reason: String
        var text: String
    }

    /// A hub that asks for something else each time is not noted more often.
    private static let repeatMilliseconds: Int64 = 3_600_000

    private(set) var current: [Round] = []
    private var saidAt: [String: Int64] = [:]

    /// - Returns: what has to be logged and noted: each model and reason once an hour.
    mutating func replace(with rounds: [Round], at now: Int64) -> [Round] {
        current = rounds
        saidAt = saidAt.filter { now - $0.value < Self.repeatMilliseconds }
        var new: [Round] = []
        for round in rounds where saidAt["\(round.model) \(round.reason)"] == nil {
            saidAt["\(round.model) \(round.reason)"] = now
            new.append(round)
        }
        return new
    }
}
