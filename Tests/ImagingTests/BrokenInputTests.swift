// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Phantoms
import Testing

@Suite struct BrokenInputTests {
    private static let syntaxes: [PhantomTransferSyntax] = PhantomTransferSyntax.allCases

    private func phantom(_ syntax: PhantomTransferSyntax) throws -> Data {
        try PhantomStudy.headCT(seed: 3, index: 1, look: .a, isPositive: true, slices: 4, matrix: 48)
            .instance(2, transferSyntax: syntax)
    }

    @Test(arguments: syntaxes) func aCutFileIsANamedErrorWithTheStudyKnown(syntax: PhantomTransferSyntax) throws {
        let file = try phantom(syntax)
        let study = try DicomInstance(file).studyInstanceUID
        for share in 1..<50 {
            let cut = file.prefix(file.count * share / 50)
            let error = try #require(failure(cut), "cut at \(share)/50")
            #expect(["not-dicom", "truncated", "no-pixel-data", "not-an-image", "decode-failed"].contains(error.name))
            // Behind the first kilobyte the header is complete, unless the whole data set is compressed.
            if share > 35, syntax != .deflated { #expect(try DicomInstance(cut).studyInstanceUID == study) }
        }
    }

    @Test(arguments: syntaxes) func damagedBytesNeverCrash(syntax: PhantomTransferSyntax) throws {
        let file = try phantom(syntax)
        var random = Mutator(seed: 42)
        var failures = 0
        for _ in 0..<400 {
            if let error = failure(random.damage(file)) {
                failures += 1
                #expect(error.reason != .internal, "\(error)")
                #expect(!error.detail.isEmpty)
            }
        }
        #expect(failures > 0)
    }

    @Test func aLieAboutTheSizeIsFoundBeforeAnythingIsAllocated() throws {
        var builder = DicomBuilder.image(rows: 65535, columns: 65535, words: [1, 2])
        #expect(failure(builder.file)?.name == "too-large")
        builder = .image(rows: 1000, columns: 1000, words: [1, 2])
        #expect(failure(builder.file)?.name == "truncated")
        builder = .image(rows: 1, columns: 2, words: [1, 2], frames: 2_000_000_000)
        #expect(throws: ImagingError.self) { try values(builder.file, frame: 1_999_999_999) }
        builder = .image(rows: 0, columns: 2, words: [1, 2])
        #expect(failure(builder.file)?.name == "bad-geometry")
        builder = .image(rows: 1, columns: 2, words: [1, 2], bitsStored: 12, highBit: 3)
        #expect(failure(builder.file)?.name == "bad-geometry")
    }

    @Test(arguments: [PhantomTransferSyntax.rle, .jpegLossless, .jpegLS, .jpeg2000])
    func aCompressedFrameOfAnotherSizeIsRefused(syntax: PhantomTransferSyntax) throws {
        var file = try phantom(syntax)
        // Rows (0028,0010) US of length 2.
        let place = try #require(file.range(of: Data([0x28, 0, 0x10, 0, 0x55, 0x53, 2, 0])))
        file[place.upperBound] = 0xFF
        file[place.upperBound + 1] = 0x3F
        let error = try #require(failure(file))
        #expect(["bad-geometry", "truncated", "decode-failed"].contains(error.name))
    }

    @Test func sequencesNestedWithoutEndAreMalformed() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 1, words: [0])
        builder.remove(0x7FE0_0010)
        // (0008,1140) SQ of undefined length, an item of undefined length, and again.
        let opening: [UInt8] = [
            0x08, 0, 0x40, 0x11, 0x53, 0x51, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF,
        ]
        var file = builder.file
        for _ in 0..<50_000 { file.append(contentsOf: opening) }
        #expect(failure(file)?.name == "malformed")
        #expect(try DicomInstance(file).studyInstanceUID?.text == "1.2.3")
    }

    @Test func aDeflatedBombIsTooLarge() throws {
        let study = try PhantomStudy.headCT(seed: 3, index: 1, look: .a, isPositive: true, slices: 4, matrix: 256)
        let file = try study.instance(0, transferSyntax: .deflated)
        let error = #expect(throws: ImagingError.self) {
            try DicomInstance(file, limits: DecodingLimits(inflatedBytes: 50_000))
        }
        #expect(error?.name == "too-large")
    }

    @Test func whatIsNoImageSaysSo() throws {
        var report = DicomBuilder.image(rows: 1, columns: 1, words: [0])
        for tag: UInt32 in [0x0028_0010, 0x0028_0011, 0x7FE0_0010] { report.remove(tag) }
        #expect(failure(report.file)?.name == "not-an-image")
        var empty = DicomBuilder.image(rows: 1, columns: 1, words: [0])
        empty.remove(0x7FE0_0010)
        #expect(failure(empty.file)?.name == "no-pixel-data")
        #expect(failure(Data())?.name == "not-dicom")
        #expect(failure(Data("This is a letter, not an image.".utf8))?.name == "not-dicom")
        #expect(failure(Data(count: 100_000))?.name == "not-dicom")
    }

    @Test func whatIsNotReadIsNamed() throws {
        var video = DicomBuilder.image(rows: 1, columns: 1, words: [0])
        video.transferSyntax = "1.2.840.10008.1.2.4.102"
        #expect(failure(video.file)?.name == "unsupported-transfer-syntax")
        #expect(try DicomInstance(video.file).studyInstanceUID?.text == "1.2.3")
        let color = DicomBuilder.image(rows: 1, columns: 1, words: [0], photometric: "CMYK")
        #expect(failure(color.file)?.name == "unsupported-photometric")
        var slope = DicomBuilder.image(rows: 1, columns: 1, words: [0])
        slope.text(0x0028_1053, "DS", "0")
        #expect(failure(slope.file)?.name == "bad-rescale")
        slope.text(0x0028_1053, "DS", "one")
        #expect(failure(slope.file)?.name == "bad-rescale")
    }

    @Test func anErrorCarriesNoPatientValue() throws {
        let secret = "Secret^Name"
        var builder = DicomBuilder.image(rows: 0, columns: 1, words: [0])
        builder.text(0x0010_0010, "PN", secret)
        var random = Mutator(seed: 7)
        for _ in 0..<500 {
            if let error = failure(random.damage(builder.file)) {
                #expect(!error.description.contains("Secret") && !error.description.contains("Name"))
            }
        }
    }
}

/// Seeded damage: bytes flipped, lengths blown up, pieces cut out or doubled.
private struct Mutator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }

    mutating func damage(_ file: Data) -> Data {
        var bytes = [UInt8](file)
        for _ in 0...next(6) {
            // Most of the structure is in front of the pixels.
            let reach = next(2) == 0 ? min(bytes.count, 2000) : bytes.count
            guard reach > 140 else { break }
            let at = 132 + next(reach - 136)
            switch next(5) {
            case 0: bytes[at] ^= UInt8(1 << next(8))
            case 1: bytes[at] = UInt8(next(256))
            case 2: for offset in 0..<4 { bytes[at + offset] = next(2) == 0 ? 0xFF : 0 }
            case 3: bytes.removeSubrange(at..<min(at + next(40), bytes.count))
            default: bytes.insert(contentsOf: bytes[at..<min(at + next(40), bytes.count)], at: at)
            }
        }
        return Data(bytes)
    }
}
