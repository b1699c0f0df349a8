// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Testing

/// PixelPaddingValue and its range (PS3.3 C.7.5.1.1.2): no picture, whatever its bits and its VR.
@Suite struct PaddingTests {
    /// Which of the values are padding.
    private func blanks(_ builder: DicomBuilder) throws -> [Bool] { try values(builder.file).map(\.isNaN) }

    private func number(_ builder: inout DicomBuilder, _ tag: UInt32, _ vr: String, _ value: Int) {
        builder.words(tag, vr, [UInt16(truncatingIfNeeded: value)])
    }

    @Test(arguments: ["US", "SS"]) func theBitsCountAndNotTheVR(vr: String) throws {
        var signed = DicomBuilder.image(rows: 1, columns: 3, words: [63536, 0, 100], isSigned: true)
        number(&signed, 0x0028_0120, vr, -2000)
        #expect(try blanks(signed) == [true, false, false])
        var unsigned = DicomBuilder.image(rows: 1, columns: 3, words: [63536, 0, 100])
        number(&unsigned, 0x0028_0120, vr, -2000)
        #expect(try blanks(unsigned) == [true, false, false])
        // −2000 in the twelve bits that are stored.
        var narrow = DicomBuilder.image(rows: 1, columns: 3, words: [0x830, 0, 100], bitsStored: 12, isSigned: true)
        number(&narrow, 0x0028_0120, vr, vr == "US" ? 0x830 : -2000)
        #expect(try blanks(narrow) == [true, false, false])
    }

    @Test func aRangeIsTakenFromEitherEnd() throws {
        for (value, limit) in [(0, 10), (10, 0)] {
            var builder = DicomBuilder.image(rows: 1, columns: 4, words: [0, 10, 11, 5])
            number(&builder, 0x0028_0120, "US", value)
            number(&builder, 0x0028_0121, "US", limit)
            builder.text(0x0028_1052, "DS", "-1024")
            #expect(try blanks(builder) == [true, true, false, true])
            #expect(try values(builder.file)[2] == -1013)
        }
    }

    @Test(arguments: [8, 16, 32], [false, true]) func everyDepthHasPadding(bits: Int, isSigned: Bool) throws {
        let stored = isSigned ? [-100, 7, 100] : [0, 7, 100]
        var builder = DicomBuilder.image(rows: 1, columns: 3, words: [], isSigned: isSigned)
        for tag: UInt32 in [0x0028_0100, 0x0028_0101] { builder.number(tag, UInt16(bits)) }
        builder.number(0x0028_0102, UInt16(bits - 1))
        let cells = stored.flatMap { value in (0..<bits / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        builder.raw(0x7FE0_0010, bits == 8 ? "OB" : "OW", Data(cells))
        number(&builder, 0x0028_0120, isSigned ? "SS" : "US", stored[0])
        #expect(try blanks(builder) == [true, false, false])
        #expect(try values(builder.file).dropFirst() == [7, 100])
    }

    @Test func floatsHaveElementsOfTheirOwn() throws {
        let single: [Float] = [-999.5, 3, 1e30, .nan, .infinity]
        var builder = DicomBuilder.image(rows: 1, columns: 5, words: [])
        builder.remove(0x7FE0_0010)
        builder.raw(0x7FE0_0008, "OF", single.withUnsafeBytes { Data($0) })
        builder.raw(0x0028_0122, "FL", single.prefix(1).withUnsafeBytes { Data($0) })
        #expect(try blanks(builder) == [true, false, false, true, true])
        let limit: [Float] = [2e30]
        builder.raw(0x0028_0124, "FL", limit.withUnsafeBytes { Data($0) })
        #expect(try blanks(builder) == [true, true, true, true, true])

        let double: [Double] = [0.1, 0.1000000001, 5]
        var wide = DicomBuilder.image(rows: 1, columns: 3, words: [])
        wide.remove(0x7FE0_0010)
        wide.raw(0x7FE0_0009, "OD", double.withUnsafeBytes { Data($0) })
        wide.raw(0x0028_0123, "FD", double.prefix(1).withUnsafeBytes { Data($0) })
        // Compared before it becomes a float, which would not tell the first two apart.
        #expect(try blanks(wide) == [true, false, false])
    }

    @Test func paddingIsBackgroundInEveryChannelAndCountsInNone() throws {
        let channels: [Preprocessing.Channel] = [.window(center: 50, width: 100), .ownWindow, .percentiles]
        let preprocessing = Preprocessing(height: 1, width: 4, channels: channels, fit: .stretch)
        for photometric in ["MONOCHROME1", "MONOCHROME2"] {
            for function in ["LINEAR", "SIGMOID"] {
                var builder = DicomBuilder.image(
                    rows: 1, columns: 4, words: [9999, 0, 50, 100], photometric: photometric)
                number(&builder, 0x0028_0120, "US", 9999)
                builder.text(0x0028_1050, "DS", "50")
                builder.text(0x0028_1051, "DS", "100")
                builder.text(0x0028_1056, "CS", function)
                let seen = try input(builder.file, preprocessing)
                for channel in 0..<3 {
                    #expect(seen[channel * 4] == 0)
                    #expect(abs(seen[channel * 4 + 2] - 0.5) < 0.02)
                }
            }
        }
    }

    @Test func paddingDoesNotGoThroughTheModalityTable() throws {
        var item = DicomBuilder()
        item.words(0x0028_3002, "US", [4, 0, 16])
        item.words(0x0028_3006, "US", [100, 200, 300, 400])
        var builder = DicomBuilder.image(rows: 1, columns: 4, words: [0, 1, 2, 3])
        builder.sequence(0x0028_3000, item)
        number(&builder, 0x0028_0120, "US", 2)
        #expect(try blanks(builder) == [false, false, true, false])
        let seen = try input(builder.file, Preprocessing(height: 1, width: 4, channels: [.ownWindow], fit: .stretch))
        #expect(seen == [0, 1 / 3, 0, 1])
    }

    @Test func coloursHaveNoPadding() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 2, words: [0, 1], photometric: "PALETTE COLOR")
        for tag: UInt32 in [0x0028_1101, 0x0028_1102, 0x0028_1103] { builder.words(tag, "US", [2, 0, 16]) }
        for tag: UInt32 in [0x0028_1201, 0x0028_1202, 0x0028_1203] { builder.words(tag, "OW", [7, 9]) }
        number(&builder, 0x0028_0120, "US", 7)
        #expect(try values(builder.file) == [7, 9])
    }
}
