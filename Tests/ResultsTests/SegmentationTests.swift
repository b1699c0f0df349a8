// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Testing

@testable import Results

struct SegmentationTests {
    /// Two slices with the first finding, one of them with the second one too.
    private func segmentation(_ example: Example) throws -> ResultObject {
        let result = example.result()
        let draft = try SegmentationDraft(
            result, original: example.originals[2], sopInstanceUID: example.images[2].sopInstanceUID, frame: 0)
        for (slice, finding) in [(2, 0), (3, 0), (3, 1)] {
            let mask = (0..<4096).map {
                $0 / 64 >= 10 + slice && $0 / 64 < 20 && $0 % 64 >= 30 && $0 % 64 < 35 + finding
            }
            try draft.add(
                result.flag.findings[finding], original: example.originals[slice],
                sopInstanceUID: example.images[slice].sopInstanceUID, frame: 0, mask: mask, rows: 64, columns: 64)
        }
        return try draft.finish()
    }

    @Test func `dciodvfy finds no error in a segmentation`() throws {
        let example = try Example()
        let errors = try Tool.errors(in: segmentation(example).file)
        #expect(errors == [])
    }

    @Test func `a segmentation says what it shows, who made it and where it comes from`() throws {
        let example = try Example()
        let object = try segmentation(example)
        let text = try Tool.dcmdump.says(about: object.file)
        for expected in [
            "=SegmentationStorage", "[BINARY]", "[AUTOMATIC]", "[1386000]", "[Intracranial haemorrhage]",
            "[Skull fracture]", "[\(object.reference.sopInstanceUID)]", "[\(example.images[3].sopInstanceUID)]",
            "[SEG]",
            "(0028,0008) IS [3]", "AI result (not for diagnosis)",
        ] {
            #expect(text.contains(expected), "\(expected) is missing in:\n\(text)")
        }
        let made = try DicomInstance(object.file)
        let original = try DicomInstance(example.originals[0])
        #expect(made.patientName == original.patientName)
        #expect(made.studyInstanceUID == original.studyInstanceUID)
        #expect(OwnResult.matches(manufacturer: made.manufacturer, sopClassUID: made.sopClassUID?.text))
    }

    @Test func `of an image with several frames each frame is named, the first one too`() throws {
        var example = try Example()
        // NumberOfFrames 2 before Rows, explicit little endian.
        let rows = try #require(example.originals[2].range(of: Data([0x28, 0, 0x10, 0]) + Data("US".utf8)))
        let frames = Data([0x28, 0, 0x08, 0]) + Data("IS".utf8) + Data([2, 0]) + Data("2 ".utf8)
        example.originals[2].insert(contentsOf: frames, at: rows.lowerBound)
        let result = example.result()
        let draft = try SegmentationDraft(
            result, original: example.originals[2], sopInstanceUID: example.images[2].sopInstanceUID, frame: 1)
        for (slice, frame) in [(2, 1), (2, 0), (3, 0)] {
            try draft.add(
                result.flag.findings[0], original: example.originals[slice],
                sopInstanceUID: example.images[slice].sopInstanceUID, frame: frame,
                mask: [Bool](repeating: true, count: 4096), rows: 64, columns: 64)
        }
        let named = try Tool.dcmdump.says(["+P", "0008,1160"], about: draft.finish().file)
        #expect(named.split(separator: "\n").map { $0.contains("[2]") ? 2 : $0.contains("[1]") ? 1 : 0 } == [2, 1])
    }

    @Test func `the same slices give the same file`() throws {
        let example = try Example()
        #expect(try segmentation(example).file == segmentation(example).file)
    }

    @Test func `an image of another grid, an empty mask and a file that is no image are refused or left out`() throws {
        let example = try Example()
        let result = example.result()
        let draft = try SegmentationDraft(
            result, original: example.originals[0], sopInstanceUID: example.images[0].sopInstanceUID, frame: 0)
        let finding = result.flag.findings[0]
        func add(_ file: Data, _ uid: String, _ mask: [Bool], _ side: Int) throws {
            try draft.add(
                finding, original: file, sopInstanceUID: uid, frame: 0, mask: mask, rows: side, columns: side)
        }
        let uid = example.images[1].sopInstanceUID
        try add(example.originals[1], uid, [Bool](repeating: false, count: 4096), 64)
        #expect(draft.isEmpty)
        let full = [Bool](repeating: true, count: 1024)
        #expect(throws: ResultsError.self) { try add(example.originals[1], uid, full, 32) }
        #expect(throws: ResultsError.self) { try add(example.originals[1], "1.2.3", full, 32) }
        #expect(throws: ResultsError.self) { try add(Data("no".utf8), uid, [Bool](repeating: true, count: 4096), 64) }
        #expect(draft.isEmpty)
        #expect(throws: ResultsError.self) { try draft.finish() }
    }
}
