// SPDX-License-Identifier: GPL-3.0-or-later
import CResults
import Foundation
import ModelPackage
import Triage

/// A DICOM Segmentation (PS3.3 A.51) of a study that is being made, slice by slice: binary, on the grid of the images, one
/// segment for each finding. Belongs to one thread at a time.
public final class SegmentationDraft {
    private let result: StudyResult
    private let object: DicomObject
    private let source: InstanceReference
    /// The segments' numbers, by finding.
    private var segments: [String: UInt16] = [:]
    private var seen: [InstanceReference] = []

    /// - Parameters:
    ///   - original: the DICOM file of the first slice, which gives the grid; has to be one of the result's images.
    ///   - frame: counted from 0.
    /// - Throws: `ResultsError` for an image that does not say where it lies in the patient.
    public init(_ result: StudyResult, original: Data, sopInstanceUID: String, frame: Int) throws(ResultsError) {
        self.result = result
        guard let source = result.images.first(where: { $0.sopInstanceUID == sopInstanceUID }) else {
            throw ResultsError("the slice is not one of those that the model has looked at")
        }
        self.source = source
        object = try DicomObject(.segmentation, original: original)
        try object.segmentation(
            on: original, frame: frame,
            dimension: StudyResult.uid(["dimension", result.reference(.segmentation).sopInstanceUID]))
    }

    /// The images that are segmented: all of one series.
    public var seriesInstanceUID: String { source.seriesInstanceUID }

    /// Adds where one slice shows a finding; nothing for an empty mask.
    ///
    /// - Parameters:
    ///   - original: a DICOM file of the same series and grid.
    ///   - mask: for each pixel of the frame, row by row.
    public func add(
        _ finding: FindingResult, original: Data, sopInstanceUID: String, frame: Int, mask: [Bool], rows: Int,
        columns: Int
    ) throws(ResultsError) {
        guard mask.contains(true) else { return }
        guard
            let image = result.images.first(where: {
                $0.sopInstanceUID == sopInstanceUID && $0.seriesInstanceUID == seriesInstanceUID
            })
        else { throw ResultsError("the slice is not one of the series") }
        let number = try segment(finding)
        try object.frame(
            number, of: original, frame: frame, mask: mask.map { $0 ? 1 : 0 }, rows: rows, columns: columns)
        if !seen.contains(image) { seen.append(image) }
    }

    private func segment(_ finding: FindingResult) throws(ResultsError) -> UInt16 {
        if let number = segments[finding.finding] { return number }
        let flag = result.flag
        let number = try object.segment(
            label: finding.title, type: .of(finding), algorithm: flag.model.name, trackingID: finding.finding,
            trackingUID: StudyResult.uid(["tracking", flag.study, flag.model.version.hex, finding.finding]))
        segments[finding.finding] = number
        return number
    }

    /// Nothing was segmented.
    public var isEmpty: Bool { seen.isEmpty }

    /// The finished object; call once.
    public func finish() throws(ResultsError) -> ResultObject {
        if result.flag.findings.contains(where: { segments[$0.finding] != nil && $0.code == nil }) {
            try object.put("(0008,0110)[0].(0008,0102)", "99GANTRY")
            try object.put("(0008,0110)[0].(0008,0115)", "Gantry model findings")
        }
        // General Image (PS3.3 C.7.6.1) and Common Instance Reference (C.12.2)
        try object.put("(0018,1000)", String(result.flag.model.version.hex.prefix(64)))
        try object.put("(0008,1115)[0].(0020,000e)", seriesInstanceUID)
        for (index, image) in seen.enumerated() {
            try object.put("(0008,1115)[0].(0008,114a)[\(index)].(0008,1150)", image.sopClassUID)
            try object.put("(0008,1115)[0].(0008,114a)[\(index)].(0008,1155)", image.sopInstanceUID)
        }
        return try object.finish(result, modality: "SEG", seriesNumber: 9804)
    }
}
