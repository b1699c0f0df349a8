// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Testing

@Suite struct PreprocessingTests {
    private let window = Preprocessing.Channel.window(center: 50, width: 100)

    private func image(_ rows: Int, _ columns: Int, _ words: [UInt16], photometric: String = "MONOCHROME2")
        -> DicomBuilder
    {
        DicomBuilder.image(rows: rows, columns: columns, words: words, photometric: photometric)
    }

    @Test func aWindowMapsItsEdgesToZeroAndOneAndClips() throws {
        let file = image(1, 5, [0, 25, 50, 100, 400]).file
        let result = try input(file, Preprocessing(height: 1, width: 5, channels: [window], fit: .stretch))
        #expect(result.map { ($0 * 1000).rounded() / 1000 } == [0, 0.25, 0.5, 1, 1])
    }

    @Test func monochrome1IsInverted() throws {
        let file = image(1, 3, [0, 25, 100], photometric: "MONOCHROME1").file
        #expect(try input(file, Preprocessing(height: 1, width: 3, channels: [window], fit: .stretch)) == [1, 0.75, 0])
    }

    @Test func channelsComeOneAfterTheOtherAndAreNormalised() throws {
        let file = image(1, 2, [0, 100]).file
        let preprocessing = Preprocessing(
            height: 1, width: 2, channels: [window, .window(center: 100, width: 200)], fit: .stretch,
            normalise: .init(mean: [0.5, 0], deviation: [0.25, 2]))
        #expect(try input(file, preprocessing) == [-2, 2, 0, 0.25])
    }

    @Test func shrinkingAveragesWhatAPixelCovers() throws {
        // 3 → 2: each output covers one and a half inputs.
        let file = image(1, 3, [0, 60, 90]).file
        let result = try input(file, Preprocessing(height: 1, width: 2, channels: [window], fit: .stretch))
        #expect(abs(result[0] - (0 + 0.5 * 0.6) / 1.5) < 1e-6)
        #expect(abs(result[1] - (0.5 * 0.6 + 0.9) / 1.5) < 1e-6)
        let square = image(4, 4, (0..<16).map { UInt16($0 * 4) }).file
        let quarter = try input(square, Preprocessing(height: 2, width: 2, channels: [window], fit: .stretch))
        #expect(quarter.map { Int(($0 * 1000).rounded()) } == [100, 180, 420, 500])
    }

    @Test func theWindowComesBeforeTheAverage() throws {
        // Bone beside water: clipped to 1 before it is averaged, so the mean is 0.5 and not 1.
        let file = image(1, 2, [0, 2000]).file
        #expect(try input(file, Preprocessing(height: 1, width: 1, channels: [window], fit: .stretch)) == [0.5])
    }

    @Test func enlargingInterpolates() throws {
        let file = image(1, 2, [0, 100]).file
        let result = try input(file, Preprocessing(height: 1, width: 4, channels: [window], fit: .stretch))
        #expect(result == [0, 0.25, 0.75, 1])
    }

    @Test func letterboxKeepsTheShapeAndPadsWithZero() throws {
        let file = image(2, 4, Array(repeating: 100, count: 8)).file
        let result = try input(
            file,
            Preprocessing(height: 4, width: 4, channels: [window], normalise: .init(mean: [0.5], deviation: [0.5])))
        #expect(
            result == Array(repeating: -1, count: 4) + Array(repeating: 1, count: 8) + Array(repeating: -1, count: 4))
    }

    @Test func percentilesIgnoreTheExtremesAndThePadding() throws {
        var words = (1...100).map { UInt16($0 * 10) }
        words += Array(repeating: 60000, count: 44)
        var builder = image(12, 12, words)
        builder.number(0x0028_0120, 60000)
        let result = try input(
            builder.file, Preprocessing(height: 12, width: 12, channels: [.percentiles], fit: .stretch))
        // numpy.percentile([10, 20 … 1000], [1, 99]) is 19.9 and 990.1.
        #expect(abs(result[49] - Float((500 - 19.9) / (990.1 - 19.9))) < 1e-5)
        #expect(result[0] == 0)
        #expect(result[99] == 1)
        #expect(result[100] == 0)
    }

    @Test func aFrameWithoutContrastBecomesZero() throws {
        let file = image(2, 2, [5, 5, 5, 5]).file
        let preprocessing = Preprocessing(height: 2, width: 2, channels: [.percentiles, .ownWindow], fit: .stretch)
        #expect(try input(file, preprocessing) == Array(repeating: 0, count: 8))
    }

    @Test func theInstancesOwnWindowIsUsedOrElseItsRange() throws {
        var builder = image(1, 3, [0, 50, 200])
        let preprocessing = Preprocessing(height: 1, width: 3, channels: [.ownWindow], fit: .stretch)
        #expect(try input(builder.file, preprocessing) == [0, 0.25, 1])
        // PS3.3 C.11.2.1.2.1: ((50 − (100.5 − 0.5)) / (201 − 1)) + 0.5
        builder.text(0x0028_1050, "DS", "100.5")
        builder.text(0x0028_1051, "DS", "201")
        #expect(try input(builder.file, preprocessing) == [0, 0.25, 1])
        builder.text(0x0028_1056, "CS", "LINEAR_EXACT")
        builder.text(0x0028_1050, "DS", "50")
        builder.text(0x0028_1051, "DS", "100")
        #expect(try input(builder.file, preprocessing) == [0, 0.5, 1])
        builder.text(0x0028_1056, "CS", "SIGMOID")
        #expect(abs(try input(builder.file, preprocessing)[1] - 0.5) < 1e-6)
    }

    @Test func pixelSpacingShowsTheFrameTrueToScale() throws {
        // Four pixels of 0.5 mm seen at 1 mm: two pixels in the middle of four.
        var builder = image(4, 4, Array(repeating: 100, count: 16))
        let preprocessing = Preprocessing(height: 4, width: 4, channels: [window], pixelSpacingMillimetres: 1)
        #expect(throws: ImagingError.self) { try input(builder.file, preprocessing) }
        builder.text(0x0028_0030, "DS", "0.5\\0.5")
        #expect(try input(builder.file, preprocessing) == [0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0])
        // At 0.25 mm the frame is larger than the input and is cropped around its middle.
        let close = Preprocessing(height: 4, width: 4, channels: [window], pixelSpacingMillimetres: 0.25)
        #expect(try input(builder.file, close) == Array(repeating: 1, count: 16))
    }

    @Test(
        arguments: [
            (0x0028_0030, "DS", "2\\1"), (0x0018_1164, "DS", "0.4\\0.2"), (0x0018_2010, "DS", "4\\2"),
            (0x0028_0034, "IS", "2\\1"),
        ] as [(UInt32, String, String)])
    func letterboxKeepsTheShapeOfPixelsThatAreNotSquare(tag: UInt32, vr: String, value: String) throws {
        var builder = image(2, 4, Array(repeating: 100, count: 8))
        let preprocessing = Preprocessing(height: 4, width: 4, channels: [window])
        #expect(try input(builder.file, preprocessing).filter { $0 == 1 }.count == 8)
        // Two rows of pixels twice as high as wide are as high as four columns.
        builder.text(tag, vr, value)
        #expect(try input(builder.file, preprocessing) == Array(repeating: 1, count: 16))
        // Four rows of two columns of such pixels are four times as high as wide.
        var tall = image(4, 2, Array(repeating: 100, count: 8))
        tall.text(tag, vr, value)
        let seen = try input(tall.file, preprocessing)
        #expect(seen == Array(repeating: [0, 1, 0, 0], count: 4).flatMap { $0 })
    }

    @Test func radiologicalOrientationTurnsAxialFramesUpright() throws {
        var builder = image(2, 2, [0, 25, 50, 100])
        let preprocessing = Preprocessing(
            height: 2, width: 2, channels: [window], fit: .stretch, orientation: .radiological)
        builder.text(0x0020_0037, "DS", "1\\0\\0\\0\\1\\0")
        #expect(try input(builder.file, preprocessing) == [0, 0.25, 0.5, 1])
        builder.text(0x0020_0037, "DS", "-1\\0\\0\\0\\1\\0")
        #expect(try input(builder.file, preprocessing) == [0.25, 0, 1, 0.5])
        builder.text(0x0020_0037, "DS", "-1\\0\\0\\0\\-1\\0")
        #expect(try input(builder.file, preprocessing) == [1, 0.5, 0.25, 0])
        // A sagittal frame has no right and left to turn.
        builder.text(0x0020_0037, "DS", "0\\-1\\0\\0\\0\\-1")
        #expect(try input(builder.file, preprocessing) == [0, 0.25, 0.5, 1])
    }

    @Test(arguments: [
        Preprocessing(height: 0, width: 4, channels: [.percentiles]),
        Preprocessing(height: 4, width: 4, channels: []),
        Preprocessing(height: 4, width: 4, channels: [.window(center: 0, width: 0)]),
        Preprocessing(height: 4, width: 4, channels: [.percentiles], normalise: .init(mean: [], deviation: [])),
        Preprocessing(height: 4, width: 4, channels: [.percentiles], normalise: .init(mean: [0], deviation: [0])),
        Preprocessing(height: 4, width: 4, channels: [.percentiles], pixelSpacingMillimetres: -1),
    ])
    func preprocessingThatCannotBeAppliedIsRefused(preprocessing: Preprocessing) {
        #expect(throws: ImagingError.self) { try Preprocessor(preprocessing) }
    }

    @Test func anEmptyFrameIsRefused() throws {
        let preprocessor = try Preprocessor(Preprocessing(height: 4, width: 4, channels: [.percentiles]))
        #expect(throws: ImagingError.self) { try preprocessor.input(from: Frame()) }
    }
}
