// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import GRDB
import ModelPackage

/// A delta that a site offered and the hub began to take.
public struct ReceivedDelta: Sendable, Equatable {
    public let round: Int
    public let site: String
    public let manifest: DeltaManifest
    public let state: State
    /// Bytes that are durably here.
    public let received: Int
    /// Why it was not taken; nil in every other state.
    public let refusal: DeltaRefusal?

    public var hash: Hash { manifest.hash }
    public var isComplete: Bool { received == manifest.bytes }

    public enum State: String, Sendable, CaseIterable {
        case receiving
        /// It is a contribution.
        case accepted
        case refused
        /// The site offered another one before this one was complete.
        case superseded
        /// The site was revoked before the round was over.
        case withdrawn
    }

    init(row: Row) throws {
        round = row["round"]
        site = row["site"]
        manifest = try JSONDecoder().decode(DeltaManifest.self, from: Data((row["manifest"] as String).utf8))
        guard let state = State(rawValue: row["state"]) else {
            throw DatabaseError(message: "unknown delta state \(row["state"] as String)")
        }
        self.state = state
        received = row["received"]
        refusal = (row["refusal"] as String?).map(DeltaRefusal.init(rawValue:))
    }
}
