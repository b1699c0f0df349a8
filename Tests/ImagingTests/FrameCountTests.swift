// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Testing

/// Frames in fragments, with and without offset tables, and NumberOfFrames that is missing or wrong (PS3.5 annex A.4).
@Suite struct FrameCountTests {
    /// Frames of 1 × 4 bytes; without compression the pieces can be cut anywhere.
    private func image(_ fragments: [[UInt8]], frames: Int?, offsets: [Int]? = nil) -> DicomBuilder {
        var builder = DicomBuilder.image(rows: 1, columns: 4, words: [], bitsStored: 8)
        builder.transferSyntax = "1.2.840.10008.1.2.1.98"
        builder.number(0x0028_0100, 8)
        if let frames { builder.text(0x0028_0008, "IS", String(frames)) }
        builder.fragments(fragments.map { Data($0) }, offsets: offsets)
        return builder
    }

    private let one: [UInt8] = [1, 2, 3, 4]
    private let two: [UInt8] = [5, 6, 7, 8]

    private func frames(_ builder: DicomBuilder) throws -> [[Float]] {
        let file = builder.file
        return try (0..<DicomInstance(file).numberOfFrames).map { try values(file, frame: $0) }
    }

    @Test func fragmentsAreJoinedByTheOffsetTable() throws {
        #expect(try frames(image([one], frames: nil)) == [[1, 2, 3, 4]])
        #expect(try frames(image([[1, 2], [3, 4]], frames: 1)) == [[1, 2, 3, 4]])
        #expect(try frames(image([one, two], frames: 2)) == [[1, 2, 3, 4], [5, 6, 7, 8]])
        let cut: [[UInt8]] = [[1, 2], [3, 4], two]
        #expect(try frames(image(cut, frames: 2, offsets: [0, 20])) == [[1, 2, 3, 4], [5, 6, 7, 8]])
        var extended = image(cut, frames: 2)
        var table = Data()
        for offset in [0, 20] as [UInt32] {
            table.append(little: offset)
            table.append(little: UInt32(0))
        }
        extended.raw(0x7FE0_0001, "OV", table)
        #expect(try frames(extended) == [[1, 2, 3, 4], [5, 6, 7, 8]])
        // Some writers end with an empty fragment.
        #expect(try frames(image([one, two, []], frames: 2)) == [[1, 2, 3, 4], [5, 6, 7, 8]])
    }

    @Test func withoutNumberOfFramesTheOffsetTableSaysIt() throws {
        #expect(try frames(image([one, two], frames: nil, offsets: [0, 12])) == [[1, 2, 3, 4], [5, 6, 7, 8]])
        #expect(failure(image([one, two], frames: nil).file)?.name == "bad-geometry")
    }

    @Test func aWrongNumberOfFramesIsAReasonAndNoFrameIsLeftOut() throws {
        #expect(failure(image([one, two, one], frames: 2, offsets: [0, 12, 24]).file)?.name == "bad-geometry")
        #expect(failure(image([one, two], frames: 3).file)?.name == "bad-geometry")
        #expect(failure(image([one, two], frames: 1, offsets: [0, 12]).file)?.name == "bad-geometry")
        #expect(failure(image([one, two, one], frames: 2).file)?.name == "decode-failed")
        #expect(failure(image([[1, 2]], frames: 1).file)?.name == "truncated")
        // Native frames that nobody would look at; a byte of padding is none.
        let native = DicomBuilder.image(rows: 1, columns: 2, words: [1, 2, 3, 4, 5, 6], frames: 2)
        #expect(failure(native.file)?.name == "bad-geometry")
        var padded = DicomBuilder.image(rows: 1, columns: 1, words: [], bitsStored: 8)
        padded.number(0x0028_0100, 8)
        padded.raw(0x7FE0_0010, "OB", Data([7]))
        #expect(try values(padded.file) == [7])
    }

    @Test func anOffsetTableThatPointsNowhereIsNotBelieved() throws {
        for offsets in [[0, 13], [12, 24], [0, 0], [0, 1 << 20]] {
            let cut: [[UInt8]] = [[1, 2], [3, 4], two]
            #expect(failure(image(cut, frames: 2, offsets: offsets).file)?.name == "decode-failed")
        }
    }
}
