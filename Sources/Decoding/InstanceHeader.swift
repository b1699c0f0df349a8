// SPDX-License-Identifier: GPL-3.0-or-later
import Imaging

/// What the worker has to know of an instance before its pixels are decoded.
public struct InstanceHeader: Sendable, Equatable {
    /// The frames that can be asked for.
    public struct Image: Sendable, Equatable {
        public var frames: Int
        public var rows: Int
        public var columns: Int
        /// Rows × Columns × SamplesPerPixel.
        public var samplesPerFrame: Int
    }

    public var studyInstanceUID: StudyInstanceUID?
    public var sopInstanceUID: SOPInstanceUID?
    public var sopClassUID: SOPClassUID?
    public var modality: String?
    public var bodyPart: String?
    public var patientID: String?
    public var patientName: String?
    public var birthDate: String?
    public var accessionNumber: String?
    public var studyDate: String?
    public var studyDescription: String?
    public var numberOfStudyRelatedInstances: Int?
    /// The checked pixel description, or why no frame can be decoded.
    public var image: Result<Image, ImagingError>
    public var seriesInstanceUID: SeriesInstanceUID?
    public var manufacturer: String?
    public var instanceNumber: Int?
    public var numberOfSeriesRelatedInstances: Int?
    public var imagesInAcquisition: Int?
    public var acquisitionNumber: Int?
    public var stationName: String?
    /// The values of `DecoderSettings.elements`, in their order.
    public var elements: [Int?] = []
}
