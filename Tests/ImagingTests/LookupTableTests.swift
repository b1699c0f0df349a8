// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Testing

/// Modality LUT, VOI LUT and palettes (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5), of every descriptor.
@Suite struct LookupTableTests {
    private func table(_ descriptor: [UInt16], _ entries: Data, vr: String = "US") -> DicomBuilder {
        var item = DicomBuilder()
        item.words(0x0028_3002, vr, descriptor)
        item.raw(0x0028_3006, "OW", entries)
        return item
    }

    private func words(_ words: [UInt16]) -> Data { words.reduce(into: Data()) { $0.append(little: $1) } }

    private func own(_ builder: DicomBuilder) throws -> [Float] {
        let columns = try DicomInstance(builder.file).image.get().columns
        return try input(
            builder.file, Preprocessing(height: 1, width: columns, channels: [.ownWindow], fit: .stretch))
    }

    @Test(arguments: ["US", "SS"]) func theFirstMappedValueHasTheSignOfThePixels(vr: String) throws {
        var signed = DicomBuilder.image(rows: 1, columns: 4, words: [0xFFFE, 0xFFFF, 0, 5], isSigned: true)
        signed.sequence(0x0028_3000, table([3, 0xFFFE, 16], words([10, 40000, 65535]), vr: vr))
        #expect(try values(signed.file) == [10, 40000, 65535, 65535])
        var unsigned = DicomBuilder.image(rows: 1, columns: 4, words: [0, 0xFFFE, 0xFFFF, 5])
        unsigned.sequence(0x0028_3000, table([2, 0xFFFE, 16], words([10, 40000]), vr: vr))
        #expect(try values(unsigned.file) == [10, 10, 40000, 10])
    }

    @Test func noEntriesMeansAllOfThemAndBytesMayBePacked() throws {
        var whole = DicomBuilder.image(rows: 1, columns: 3, words: [0, 1000, 65535])
        whole.sequence(0x0028_3000, table([0, 0, 16], words((0...65535).map { UInt16(65535 - $0) })))
        #expect(try values(whole.file) == [65535, 64535, 0])
        var bytes = DicomBuilder.image(rows: 1, columns: 3, words: [0, 1, 2])
        bytes.sequence(0x0028_3000, table([3, 0, 8], Data([9, 8, 7])))
        #expect(try values(bytes.file) == [9, 8, 7])
    }

    @Test func aTableTakesThePlaceOfSlopeAndInterceptAndMustBeWhole() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 2, words: [0, 1])
        builder.text(0x0028_1052, "DS", "-1024")
        builder.text(0x0028_1053, "DS", "1")
        builder.sequence(0x0028_3000, table([2, 0, 16], words([5, 6])))
        #expect(try values(builder.file) == [5, 6])
        builder.sequence(0x0028_3000, table([9, 0, 16], words([5, 6])))
        #expect(failure(builder.file)?.name == "decode-failed")
    }

    @Test func aVOITableIsTheInstancesOwnWindow() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 4, words: [0, 1, 2, 9])
        builder.text(0x0028_1052, "DS", "-1")
        builder.sequence(0x0028_3010, table([3, 0xFFFF, 12], words([0, 1365, 4095])))
        #expect(try own(builder) == [0, 1365.0 / 4095, 1, 1])
        // As pydicom has it, the table comes before a window.
        builder.text(0x0028_1050, "DS", "1")
        builder.text(0x0028_1051, "DS", "2")
        #expect(try own(builder) == [0, 1365.0 / 4095, 1, 1])
        builder.text(0x0028_0004, "CS", "MONOCHROME1")
        #expect(try own(builder) == [1, 1 - Float(1365.0 / 4095), 0, 0])
    }

    @Test func aBrokenVOITableMattersOnlyToThoseWhoAskForIt() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 2, words: [0, 100])
        builder.sequence(0x0028_3010, table([300, 0, 16], words([0])))
        #expect(throws: ImagingError.self) { try own(builder) }
        let window = Preprocessing(
            height: 1, width: 2, channels: [.window(center: 50, width: 100)], fit: .stretch)
        #expect(try input(builder.file, window) == [0, 1])
        builder.text(0x0028_1050, "DS", "50.5")
        builder.text(0x0028_1051, "DS", "101")
        #expect(try own(builder) == [0, 1])
    }

    @Test func windowsAtTheEdgeOfWhatIsAllowed() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 4, words: [39, 40, 41, 43])
        builder.text(0x0028_1050, "DS", "40.5\\10")
        builder.text(0x0028_1051, "DS", "1\\20")
        // PS3.3 C.11.2.1.2.1: 0 up to c − 0.5, 1 above.
        #expect(try own(builder) == [0, 0, 1, 1])
        // Less than 1 is no linear window: from the least to the greatest value.
        builder.text(0x0028_1051, "DS", "0.5")
        #expect(try own(builder) == [0, 0.25, 0.5, 1])
        builder.text(0x0028_1056, "CS", "LINEAR_EXACT")
        #expect(try own(builder) == [0, 0, 1, 1])
    }

    private func palette(_ descriptor: [UInt16], _ segments: Data) -> DicomBuilder {
        var builder = DicomBuilder.image(
            rows: 1, columns: 6, words: [0, 1, 2, 3, 4, 5], photometric: "PALETTE COLOR")
        for index in 0..<3 as Range<UInt32> {
            builder.words(0x0028_1101 + index, "US", descriptor)
            builder.raw(0x0028_1221 + index, "OW", segments)
        }
        return builder
    }

    @Test func segmentsOfAPaletteAreDiscreteLinearOrRepeated() throws {
        // Two entries, a line of two to 40, and the first segment again (PS3.3 C.7.9.2).
        let segments: [UInt16] = [0, 2, 10, 20, 1, 2, 40, 2, 1, 0, 0]
        #expect(try values(palette([6, 0, 16], words(segments)).file) == [10, 20, 30, 40, 10, 20])
        let bytes = Data([0, 2, 10, 20, 1, 2, 40, 2, 1, 0, 0, 0, 0])
        #expect(try values(palette([6, 0, 8], bytes).file) == [10, 20, 30, 40, 10, 20])
    }

    @Test(
        arguments: [
            [0, 2, 10, 20], [1, 6, 40], [0, 9, 1, 2, 3], [7, 1, 1], [2, 1, 0, 0], [0, 7, 1, 2, 3, 4, 5, 6, 7], [],
        ] as [[UInt16]])
    func damagedSegmentsAreANamedError(segments: [UInt16]) {
        #expect(failure(palette([6, 0, 16], words(segments)).file)?.name == "decode-failed")
    }
}
