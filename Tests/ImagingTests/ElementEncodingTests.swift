// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Testing

/// Elements that are not written as PS3.5 has them, in front of the UIDs and pixels that they must not hide.
@Suite struct ElementEncodingTests {
    /// An image with `bytes` put in front of its StudyInstanceUID, and as much behind its pixels as a real file has.
    private func image(_ bytes: [UInt8]) throws -> Data {
        var builder = DicomBuilder.image(rows: 1, columns: 3, words: [7, 8, 9])
        builder.raw(0xFFFC_FFFC, "OB", Data(count: 300_000))
        var file = builder.file
        let place = try #require(file.range(of: Data([0x20, 0, 0x0D, 0, 0x55, 0x49])))
        file.insert(contentsOf: bytes, at: place.lowerBound)
        return file
    }

    private func expectAllThere(_ file: Data) throws {
        #expect(try DicomInstance(file).studyInstanceUID?.text == "1.2.3")
        #expect(try values(file) == [7, 8, 9])
    }

    private static let names: [[UInt8]] = [
        [0, 0], [0x20, 0x20], [0x3F, 0x3F], [0x6C, 0x6F], [0x31, 0x32], [0xFF, 0xFE],
    ]

    @Test(arguments: names) func whatIsNoVRStandsBeforeTwoBytesOfLength(vr: [UInt8]) throws {
        func element(_ number: UInt8, _ value: [UInt8]) -> [UInt8] {
            [0x09, 0, number, 0x10] + vr + [UInt8(value.count), 0] + value
        }
        try expectAllThere(image(element(2, [0x61, 0x62])))
        try expectAllThere(image((2..<9).flatMap { element($0, Array(repeating: 0x61, count: 6)) }))
        try expectAllThere(image(element(2, [])))
    }

    @Test(arguments: names) func theElementsThatMatterAreReadByTheirTag(vr: [UInt8]) throws {
        var file = try image([])
        for head: [UInt8] in [
            [0x20, 0, 0x0D, 0, 0x55, 0x49], [0x28, 0, 0x10, 0, 0x55, 0x53], [0x28, 0, 0x00, 0x01, 0x55, 0x53],
        ] {
            let place = try #require(file.range(of: Data(head)))
            file.replaceSubrange(place, with: head.prefix(4) + vr)
        }
        try expectAllThere(file)
    }

    @Test func implicitElementsAmongExplicitOnesAreRead() throws {
        let one: [UInt8] = [0x09, 0, 0x02, 0x10, 2, 0, 0, 0, 0x61, 0x62]
        try expectAllThere(image(one))
        try expectAllThere(image(one + [0x09, 0, 0x03, 0x10, 4, 0, 0, 0, 0x61, 0x62, 0x63, 0x64]))
    }

    @Test(arguments: [[0x55, 0x54], [0x4F, 0x58], [0x55, 0x4E]] as [[UInt8]])
    func aLongVRWithAShortLengthIsSeenThrough(vr: [UInt8]) throws {
        try expectAllThere(image([0x09, 0, 0x02, 0x10] + vr + [2, 0, 0x61, 0x62]))
    }

    @Test(arguments: [true, false]) func anUnknownSequenceMayBeExplicitOrImplicit(isExplicit: Bool) throws {
        let content: [UInt8] =
            [0x08, 0, 0x50, 0x11] + (isExplicit ? [0x55, 0x49, 4, 0] : [4, 0, 0, 0]) + [0x31, 0x2E, 0x32, 0]
        let head: [UInt8] = [0x09, 0, 0x01, 0x10, 0x55, 0x4E, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]
        let endless: [UInt8] = [0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]
        let ends: [UInt8] = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]
        try expectAllThere(image(head + endless + content + ends))
        let counted: [UInt8] = [0xFE, 0xFF, 0x00, 0xE0, UInt8(content.count), 0, 0, 0]
        try expectAllThere(image(head + counted + content + ends.suffix(8)))
    }

    @Test func aSequenceThatClaimsWhatFollowsItEndsWithItsItems() throws {
        let item: [UInt8] = [0xFE, 0xFF, 0x00, 0xE0, 10, 0, 0, 0, 0x08, 0, 0x00, 0x01, 0x53, 0x48, 2, 0, 0x61, 0x62]
        try expectAllThere(image([0x08, 0, 0x40, 0x11, 0x53, 0x51, 0, 0, 60, 0, 0, 0] + item))
        try expectAllThere(image([0x08, 0, 0x40, 0x11, 0x53, 0x51, 0, 0, 18, 0, 0, 0] + item))
    }

    @Test func theFirstOfTwoElementsCounts() throws {
        try expectAllThere(image([0x20, 0, 0x0D, 0, 0x55, 0x49, 6, 0] + Array("1.2.3".utf8) + [0]))
    }
}
