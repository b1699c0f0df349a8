// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

/// A flag as it is kept: one for each study and model version.
public struct FlagRow: Sendable, Equatable {
    public var study: StudyKey
    /// `ModelVersion.id`
    public var modelVersion: String
    public var package: String
    public var flag: String
    public var state: State
    /// 0 while nothing was told.
    public var revision: Int
    public var ackedRevision: Int
    /// SOPInstanceUID of the last report about this flag that the gateway has, as it said with its acknowledgement.
    public var gatewayReport = ""
    /// The JSON that the gateway gets; empty while nothing was told.
    public var document: String

    public enum State: String, Sendable { case reading, preliminary, final }

    public init(
        study: StudyKey, modelVersion: String, package: String, flag: String, state: State = .reading,
        revision: Int = 0, ackedRevision: Int = 0, document: String = ""
    ) {
        self.study = study
        self.modelVersion = modelVersion
        self.package = package
        self.flag = flag
        self.state = state
        self.revision = revision
        self.ackedRevision = ackedRevision
        self.document = document
    }

    init(_ row: Row) {
        study = StudyKey(row)
        modelVersion = row["model_version"]
        package = row["package"]
        flag = row["flag"]
        state = State(rawValue: row["state"]) ?? .reading
        revision = row["revision"]
        ackedRevision = row["acked_revision"]
        gatewayReport = row["gateway_report"]
        document = row["document"]
    }
}
