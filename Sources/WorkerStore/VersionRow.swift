// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

/// A model version at this site and what was decided about it.
public struct VersionRow: Sendable, Equatable {
    public var version: ModelVersion
    /// Closed rounds that led to it; 0 for a package's own parameters.
    public var round: Int
    public var state: State
    /// Unix milliseconds UTC of the last change of `state`.
    public var decidedAt: Int64
    public var heldOutLabels: Int
    public var candidateAUC: Double?
    /// The live version's AUC at the time of the decision.
    public var liveAUC: Double?
    /// The hub has not noted the decision yet.
    public var isReportDue: Bool

    public enum State: String, Sendable {
        /// Its parameters are there, nothing is decided.
        case candidate
        /// Too few held-out labels to judge.
        case waiting
        case live, refused
        /// It was live or undecided and a newer one took its place.
        case superseded
    }

    public init(
        version: ModelVersion, round: Int, state: State, decidedAt: Int64, heldOutLabels: Int = 0,
        candidateAUC: Double? = nil, liveAUC: Double? = nil, isReportDue: Bool = false
    ) {
        self.version = version
        self.round = round
        self.state = state
        self.decidedAt = decidedAt
        self.heldOutLabels = heldOutLabels
        self.candidateAUC = candidateAUC
        self.liveAUC = liveAUC
        self.isReportDue = isReportDue
    }

    init(_ row: Row) throws {
        guard let package = Hash(hex: row["package"]), let parameters = Hash(hex: row["parameters"]) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "model_version holds a value that is no SHA-256")
        }
        version = ModelVersion(package: package, parameters: parameters)
        round = row["round"]
        state = State(rawValue: row["state"]) ?? .superseded
        decidedAt = row["decided_at_ms"]
        heldOutLabels = row["held_out_labels"]
        candidateAUC = row["candidate_auc"]
        liveAUC = row["live_auc"]
        isReportDue = row["report_due"]
    }
}
