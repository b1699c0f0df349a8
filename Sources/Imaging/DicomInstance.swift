// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging
import Foundation

/// The header of an instance. A value: it keeps nothing of the bytes it was read from.
///
/// Text is UTF-8, converted by SpecificCharacterSet (0008,0005), without padding and control characters; an empty
/// element is nil. A header is read whether or not its pixels could be decoded: see `image`.
public struct DicomInstance: Sendable {
    public let studyInstanceUID: StudyInstanceUID?
    public let seriesInstanceUID: SeriesInstanceUID?
    public let sopInstanceUID: SOPInstanceUID?
    public let sopClassUID: SOPClassUID?
    /// As written in the meta header, or as found where there is none.
    public let transferSyntaxUID: TransferSyntaxUID?

    public let patientID: String?
    /// As written: components by `^`, representations by `=`.
    public let patientName: String?
    /// DICOM form, YYYYMMDD.
    public let birthDate: String?
    public let accessionNumber: String?
    /// DICOM form, YYYYMMDD.
    public let studyDate: String?
    public let studyDescription: String?
    public let seriesDescription: String?
    public let modality: String?
    public let bodyPart: String?
    public let manufacturer: String?
    public let institutionName: String?
    public let stationName: String?
    public let instanceNumber: Int?
    public let acquisitionNumber: Int?

    /// What the study says about its own size, where it does.
    public let numberOfStudyRelatedInstances: Int?
    public let numberOfSeriesRelatedInstances: Int?
    public let imagesInAcquisition: Int?

    /// The checked pixel description, or why no frame of this instance can be decoded.
    public let image: Result<ImageDescription, ImagingError>

    /// Reads a header from a DICOM file in memory, with or without preamble and meta header.
    ///
    /// Throws `not-dicom`, or `truncated`, `malformed`, `decode-failed` or `too-large` when not even the first elements
    /// can be read. May be called on any thread.
    public init(_ bytes: some ContiguousBytes, limits: DecodingLimits = .standard) throws(ImagingError) {
        self = try InstanceReader.read(bytes, limits: limits) { reader throws(ImagingError) in reader.instance }
    }

    init(_ handle: OpaquePointer) {
        let header = HeaderElements(handle)
        studyInstanceUID = header.text(0x0020_000D).flatMap(UID.init)
        seriesInstanceUID = header.text(0x0020_000E).flatMap(UID.init)
        sopInstanceUID = (header.text(0x0008_0018) ?? header.text(0x0002_0003)).flatMap(UID.init)
        sopClassUID = (header.text(0x0008_0016) ?? header.text(0x0002_0002)).flatMap(UID.init)
        transferSyntaxUID = header.text(0x0002_0010).flatMap(UID.init)
        patientID = header.text(0x0010_0020)
        patientName = header.text(0x0010_0010)
        birthDate = header.text(0x0010_0030)
        accessionNumber = header.text(0x0008_0050)
        studyDate = header.text(0x0008_0020)
        studyDescription = header.text(0x0008_1030)
        seriesDescription = header.text(0x0008_103E)
        modality = header.text(0x0008_0060)
        bodyPart = header.text(0x0018_0015)
        manufacturer = header.text(0x0008_0070)
        institutionName = header.text(0x0008_0080)
        stationName = header.text(0x0008_1010)
        instanceNumber = header.integer(0x0020_0013)
        acquisitionNumber = header.integer(0x0020_0012)
        numberOfStudyRelatedInstances = header.integer(0x0020_1208)
        numberOfSeriesRelatedInstances = header.integer(0x0020_1209)
        imagesInAcquisition = header.integer(0x0020_1002)
        image = Result { () throws(ImagingError) in
            var description = gi_image()
            try throwing { gi_describe(handle, &description, $0) }
            return ImageDescription(description)
        }
    }

    /// Frames that can be asked for; 0 when `image` is a failure.
    public var numberOfFrames: Int {
        guard case .success(let description) = image else { return 0 }
        return description.numberOfFrames
    }
}
