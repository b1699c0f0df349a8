// SPDX-License-Identifier: GPL-3.0-or-later

/// What the first elements of a DICOM file say, read without a DICOM library: PS3.10 section 7 (file meta
/// information), PS3.5 section 7 (data set) and annex A (transfer syntaxes).
///
/// Any bytes may be given: what cannot be read is nil. Bounded by the number of elements looked at, whatever the
/// file's size; reads nothing after SeriesInstanceUID.
struct DicomHeader: Sendable, Equatable {
    private(set) var sopClassUID: String?
    private(set) var sopInstanceUID: String?
    private(set) var modality: String?
    private(set) var institutionName: String?
    private(set) var bodyPartExamined: String?
    private(set) var studyInstanceUID: String?
    private(set) var seriesInstanceUID: String?

    private enum Tag {
        static let mediaStorageSOPClassUID: UInt32 = 0x0002_0002
        static let mediaStorageSOPInstanceUID: UInt32 = 0x0002_0003
        static let transferSyntaxUID: UInt32 = 0x0002_0010
        static let sopClassUID: UInt32 = 0x0008_0016
        static let sopInstanceUID: UInt32 = 0x0008_0018
        static let modality: UInt32 = 0x0008_0060
        static let institutionName: UInt32 = 0x0008_0080
        static let bodyPartExamined: UInt32 = 0x0018_0015
        static let studyInstanceUID: UInt32 = 0x0020_000D
        static let seriesInstanceUID: UInt32 = 0x0020_000E
    }

    /// - Parameter bytes: the file from its beginning, or the beginning of it. With the preamble and the file meta
    ///   information, or without either, as some gateways keep the data set alone.
    init(_ bytes: UnsafeRawBufferPointer) {
        var reader = unsafe DicomElementReader(bytes)
        reader.skipPreamble()
        var transferSyntax: String?
        while reader.isInMetaInformation, let element = reader.next() {
            switch element.tag {
            case Tag.mediaStorageSOPClassUID: sopClassUID = reader.text(of: element)
            case Tag.mediaStorageSOPInstanceUID: sopInstanceUID = reader.text(of: element)
            case Tag.transferSyntaxUID: transferSyntax = reader.text(of: element)
            default: break
            }
            guard reader.skip(element) else { return }
        }
        guard reader.beginDataSet(transferSyntax) else { return }
        while let element = reader.next(), element.tag <= Tag.seriesInstanceUID {
            take(element, reader)
            guard reader.skip(element) else { return }
        }
    }

    /// The first of several elements with one tag counts.
    private mutating func take(_ element: DicomElementReader.Element, _ reader: DicomElementReader) {
        switch element.tag {
        // The data set is what the gateway and the worker go by, not the file meta information.
        case Tag.sopClassUID: sopClassUID = reader.text(of: element) ?? sopClassUID
        case Tag.sopInstanceUID: sopInstanceUID = reader.text(of: element) ?? sopInstanceUID
        case Tag.modality: modality = modality ?? reader.text(of: element)
        case Tag.institutionName: institutionName = institutionName ?? reader.text(of: element)
        case Tag.bodyPartExamined: bodyPartExamined = bodyPartExamined ?? reader.text(of: element)
        case Tag.studyInstanceUID: studyInstanceUID = studyInstanceUID ?? reader.text(of: element)
        case Tag.seriesInstanceUID: seriesInstanceUID = seriesInstanceUID ?? reader.text(of: element)
        default: break
        }
    }
}
