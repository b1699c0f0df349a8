// SPDX-License-Identifier: GPL-3.0-or-later

/// What became of one instance of a study.
public struct InstanceRow: Sendable, Equatable {
    public var study: StudyKey
    public var sopInstanceUID: String
    public var gatewayInstance: String
    public var outcome: Outcome
    /// Stable name for counters; empty when scored.
    public var reasonName: String
    public var reason: String

    /// The raw values are those of the `ack` message.
    public enum Outcome: String, Sendable {
        case scored, ignored
        case setAside = "set-aside"
    }

    public init(
        study: StudyKey, sopInstanceUID: String, gatewayInstance: String, outcome: Outcome,
        reasonName: String = "", reason: String = ""
    ) {
        self.study = study
        self.sopInstanceUID = sopInstanceUID
        self.gatewayInstance = gatewayInstance
        self.outcome = outcome
        self.reasonName = reasonName
        self.reason = reason
    }
}
