// SPDX-License-Identifier: GPL-3.0-or-later

/// Why the hub does not take a delta. The text is the name in counters, logs and on the status page.
///
/// Not a closed list: a reason of a newer hub is kept as it came, and is as final for the delta as any other.
public struct DeltaRefusal: RawRepresentable, Codable, Sendable, Hashable {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public static let unknownRound = DeltaRefusal(rawValue: "unknown-round")
    public static let roundClosed = DeltaRefusal(rawValue: "round-closed")
    public static let repeatedRound = DeltaRefusal(rawValue: "repeated-round")
    public static let wrongBase = DeltaRefusal(rawValue: "wrong-base-version")
    public static let wrongShape = DeltaRefusal(rawValue: "wrong-shape")
    public static let notFinite = DeltaRefusal(rawValue: "not-finite")
    public static let wrongHash = DeltaRefusal(rawValue: "wrong-hash")
    public static let wrongSize = DeltaRefusal(rawValue: "wrong-size")
    public static let unknownCodec = DeltaRefusal(rawValue: "unknown-codec")
    public static let badWeight = DeltaRefusal(rawValue: "bad-weight")
    public static let malformed = DeltaRefusal(rawValue: "malformed")
    public static let notInCohort = DeltaRefusal(rawValue: "not-in-cohort")
    /// It changes the model in a way that training on the round's terms, or the other sites' deltas, do not.
    public static let outOfLine = DeltaRefusal(rawValue: "out-of-line")
    /// The site has offered too many deltas in this round.
    public static let tooManyOffers = DeltaRefusal(rawValue: "too-many-offers")

    /// The reasons that this release gives.
    public static let all: [DeltaRefusal] = [
        unknownRound, roundClosed, repeatedRound, wrongBase, wrongShape, notFinite, wrongHash, wrongSize, unknownCodec,
        badWeight, malformed, notInCohort, outOfLine, tooManyOffers,
    ]

    /// The same for a site of the first release, which offers a delta again for ever when it does not know the reason.
    public var forFirstRelease: DeltaRefusal {
        switch self {
        case .outOfLine: .malformed
        case .tooManyOffers: .repeatedRound
        default: self
        }
    }
}
