// SPDX-License-Identifier: GPL-3.0-or-later

/// How many requests each site may make, so that one of them cannot have the message thread and its disk for itself: a token
/// bucket (RFC 2697 without its second rate) for each key. Belongs to the message thread.
struct RequestBudget {
    /// What a site that was silent for a while may ask at once.
    static let burst = 1000.0
    /// What it may ask in the long run.
    static let perSecond = 100.0
    /// The name of the answer to a request beyond these, and the reason under which it is counted.
    static let refusal = "slow-down"

    private struct Bucket {
        var requests: Double
        var atMilliseconds: Int64
    }

    private var buckets: [String: Bucket] = [:]
    private var refused: [String: Int] = [:]

    /// Whether a request counts; keys are those that the door has let in, so there are no more of them than were enrolled.
    mutating func takes(_ key: String, atMilliseconds now: Int64) -> Bool {
        var bucket = buckets[key] ?? Bucket(requests: Self.burst, atMilliseconds: now)
        // A clock that was set back gives nothing.
        let seconds = Double(max(0, now - bucket.atMilliseconds)) / 1000
        bucket = Bucket(
            requests: min(Self.burst, bucket.requests + seconds * Self.perSecond), atMilliseconds: now)
        let isTaken = bucket.requests >= 1
        if isTaken { bucket.requests -= 1 } else { refused[key, default: 0] += 1 }
        buckets[key] = bucket
        return isTaken
    }

    /// What was refused since the last call, by key.
    mutating func takeRefused() -> [String: Int] {
        defer { refused = [:] }
        return refused
    }
}
