// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import Triage

/// What became of one instance of a study.
public struct InstanceRow: Sendable, Equatable {
    public var study: StudyKey
    public var sopInstanceUID: String
    public var gatewayInstance: String
    /// Empty when the instance does not say.
    public var sopClassUID: String
    /// Empty when the instance does not say.
    public var seriesInstanceUID: String
    public var outcome: Outcome
    /// What it says about the number of instances; without that of the study, which the study's row has.
    public var expected: ExpectedCounts
    /// Stable name for counters; empty when scored.
    public var reasonName: String
    public var reason: String

    /// The raw values are those of the `ack` message.
    public enum Outcome: String, Sendable {
        case scored, ignored
        case setAside = "set-aside"
    }

    public init(
        study: StudyKey, sopInstanceUID: String, gatewayInstance: String, sopClassUID: String = "",
        seriesInstanceUID: String = "", outcome: Outcome, reasonName: String = "", reason: String = "",
        expected: ExpectedCounts = ExpectedCounts()
    ) {
        self.study = study
        self.sopInstanceUID = sopInstanceUID
        self.gatewayInstance = gatewayInstance
        self.sopClassUID = sopClassUID
        self.seriesInstanceUID = seriesInstanceUID
        self.outcome = outcome
        self.reasonName = reasonName
        self.reason = reason
        self.expected = expected
    }

    init(_ row: Row) {
        self.init(
            study: StudyKey(row), sopInstanceUID: row["sop_instance_uid"], gatewayInstance: row["gateway_instance"],
            sopClassUID: row["sop_class_uid"], seriesInstanceUID: row["series_instance_uid"],
            outcome: Outcome(rawValue: row["outcome"]) ?? .ignored, reasonName: row["reason_name"],
            reason: row["reason"],
            expected: ExpectedCounts(
                series: row["series_expected"], acquisition: row["acquisition_expected"],
                acquisitionNumber: row["acquisition"]))
    }
}
