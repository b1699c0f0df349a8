// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

/// A study as one gateway holds it. The same StudyInstanceUID at two gateways is two studies here: each gateway gets a
/// flag about its own instances, and none learns from a flag what another one was sent.
public struct StudyKey: Sendable, Hashable {
    /// The gateway's name from its hello.
    public var gateway: String
    /// StudyInstanceUID (0020,000D)
    public var studyInstanceUID: String

    public init(gateway: String, studyInstanceUID: String) {
        self.gateway = gateway
        self.studyInstanceUID = studyInstanceUID
    }

    init(_ row: Row) {
        self.init(gateway: row["gateway"], studyInstanceUID: row["study_instance_uid"])
    }
}
