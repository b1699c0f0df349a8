// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A DICOM object about a study, on its way to the gateway that holds the study.
public struct ResultRow: Sendable, Equatable {
    public var study: StudyKey
    public var modelVersion: String
    /// The flag that it tells.
    public var flag: String
    /// What kind of object it is.
    public var kind: String
    public var sopClassUID: String
    public var sopInstanceUID: String
    public var seriesInstanceUID: String
    /// Of the flag that it tells.
    public var revision: Int
    /// Empty once the gateway has it.
    public var file: Data

    public init(
        study: StudyKey, modelVersion: String, flag: String, kind: String, sopClassUID: String, sopInstanceUID: String,
        seriesInstanceUID: String, revision: Int, file: Data
    ) {
        self.study = study
        self.modelVersion = modelVersion
        self.flag = flag
        self.kind = kind
        self.sopClassUID = sopClassUID
        self.sopInstanceUID = sopInstanceUID
        self.seriesInstanceUID = seriesInstanceUID
        self.revision = revision
        self.file = file
    }
}
