// SPDX-License-Identifier: GPL-3.0-or-later

/// What the worker keeps of a study's header, as it came with the first instance. Stays in the building.
public struct StudyHeader: Sendable, Equatable {
    public var studyInstanceUID: String
    public var patientID: String
    public var patientName: String
    public var birthDate: String
    public var description: String
    public var modality: String
    public var accessionNumber: String
    public var studyDate: String

    public init(
        studyInstanceUID: String, patientID: String = "", patientName: String = "", birthDate: String = "",
        description: String = "", modality: String = "", accessionNumber: String = "", studyDate: String = ""
    ) {
        self.studyInstanceUID = studyInstanceUID
        self.patientID = patientID
        self.patientName = patientName
        self.birthDate = birthDate
        self.description = description
        self.modality = modality
        self.accessionNumber = accessionNumber
        self.studyDate = studyDate
    }
}
