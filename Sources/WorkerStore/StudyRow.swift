// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

/// A study as it is kept. Times are Unix milliseconds UTC.
public struct StudyRow: Sendable, Equatable {
    public var header: StudyHeader
    /// The name of the gateway that sent it; its flags go there.
    public var gateway: String
    /// The gateway's id of one instance.
    public var gatewayInstance: String
    public var isOpen: Bool
    public var isHeldOut: Bool
    /// The count that the study itself carries, when it does.
    public var expectedInstances: Int?
    public var arrivedAt: Int64
    public var lastInstanceAt: Int64

    public var key: StudyKey { StudyKey(gateway: gateway, studyInstanceUID: header.studyInstanceUID) }

    public init(
        header: StudyHeader, gateway: String, gatewayInstance: String, isOpen: Bool, isHeldOut: Bool,
        expectedInstances: Int?, arrivedAt: Int64, lastInstanceAt: Int64
    ) {
        self.header = header
        self.gateway = gateway
        self.gatewayInstance = gatewayInstance
        self.isOpen = isOpen
        self.isHeldOut = isHeldOut
        self.expectedInstances = expectedInstances
        self.arrivedAt = arrivedAt
        self.lastInstanceAt = lastInstanceAt
    }

    init(_ row: Row) {
        header = StudyHeader(
            studyInstanceUID: row["study_instance_uid"], patientID: row["patient_id"],
            patientName: row["patient_name"], birthDate: row["birth_date"], description: row["description"],
            modality: row["modality"], accessionNumber: row["accession_number"], studyDate: row["study_date"])
        gateway = row["gateway"]
        gatewayInstance = row["gateway_instance"]
        isOpen = row["open"]
        isHeldOut = row["held_out"]
        expectedInstances = row["expected_instances"]
        arrivedAt = row["arrived_at_ms"]
        lastInstanceAt = row["last_instance_at_ms"]
    }
}
