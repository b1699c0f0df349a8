// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Testing

struct ElementAddressTests {
    @Test(
        arguments: [
            ("0020,1002", nil), ("0019,xx9B", "GEMS_ACQU_01"), ("0019,129b", "A: B"), ("0019,XX01", "x"),
        ] as [(String, String?)])
    func `An address comes back the same from its text`(tag: String, creator: String?) throws {
        let address = try #require(ElementAddress(tag: tag, creator: creator))
        #expect(ElementAddress(text: address.text) == address)
    }

    @Test func `A private element needs its creator, and only that`() {
        #expect(ElementAddress(tag: "0019,109B") == nil)
        #expect(ElementAddress(tag: "0019,109B", creator: "") == nil)
        #expect(ElementAddress(tag: "0020,1002", creator: "X") == nil)
        for tag in ["", "0020", "0020,", "0020,10021", "20,1002", "0020,10g2", "0020,1002,", "+020,1002"] {
            #expect(ElementAddress(tag: tag) == nil, "\(tag)")
        }
    }

    @Test func `A whole number is found in any block of its creator and in any encoding of a number`() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 1, words: [0])
        builder.text(0x0020_1002, "IS", "12")
        builder.text(0x0019_0010, "LO", "SOMEBODY ELSE")
        builder.text(0x0019_109B, "IS", "99")
        builder.text(0x0019_0013, "LO", "ACME 1")
        builder.text(0x0019_139B, "IS", "40")
        builder.number(0x0019_139C, 41)
        builder.text(0x0019_139D, "DS", "4.5")
        func value(_ tag: String, _ creator: String? = nil) throws -> Int? {
            let address = try #require(ElementAddress(tag: tag, creator: creator))
            return try InstanceReader.read(builder.file) { reader throws(ImagingError) in reader.integer(at: address) }
        }
        #expect(try value("0020,1002") == 12)
        #expect(try value("0019,xx9B", "ACME 1") == 40)
        #expect(try value("0019,109C", "ACME 1") == 41)
        #expect(try value("0019,xx9D", "ACME 1") == nil)
        #expect(try value("0019,xx9B", "ACME 2") == nil)
        #expect(try value("0020,1209") == nil)
    }
}
