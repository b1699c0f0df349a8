// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Testing

/// Streams whose depth, sign, size, components or colours are not what the data set says.
@Suite struct StreamTests {
    private enum Syntax: String {
        case baseline = "50", lossless = "70", jpegLS = "80", jpeg2000 = "90", highThroughput = "201"
        case jpegXL = "110", jpegXLOfJPEG = "111", jpegXLLossy = "112"
    }

    private func image(
        _ stream: Data, _ syntax: Syntax, allocated: UInt16 = 16, stored: UInt16 = 8, isSigned: Bool = false,
        colours: String? = nil, rows: Int = 8
    ) -> Data {
        var builder = DicomBuilder.image(
            rows: rows, columns: 8, words: [], bitsStored: Int(stored), isSigned: isSigned,
            photometric: colours ?? "MONOCHROME2")
        builder.transferSyntax = "1.2.840.10008.1.2.4." + syntax.rawValue
        builder.number(0x0028_0100, allocated)
        builder.number(0x0028_0002, colours == nil ? 1 : 3)
        builder.fragments([stream])
        return builder.file
    }

    private func pattern(_ value: (Int, Int) -> Int) -> [Float] {
        (0..<64).map { Float(value($0 % 8, $0 / 8)) }
    }

    private var eight: [Float] { pattern { (29 * $0 + 13 * $1) % 256 } }
    private var twelve: [Float] { pattern { (290 * $0 + 131 * $1) % 4096 } }

    @Test(arguments: [(8, 8), (16, 8), (16, 16), (16, 12), (32, 8)] as [(UInt16, UInt16)])
    func streamsOfEightBitsGiveTheirValues(allocated: UInt16, stored: UInt16) throws {
        let streams: [(Data, Syntax)] = [
            (Streams.jpegLS8, .jpegLS), (Streams.lossless8, .lossless), (Streams.j2k8, .jpeg2000),
            (Streams.jpegXL8, .jpegXL),
        ]
        for (stream, syntax) in streams {
            #expect(try values(image(stream, syntax, allocated: allocated, stored: stored)) == eight, "\(syntax)")
        }
        let lossy = image(Streams.baseline8, .baseline, allocated: allocated, stored: stored)
        #expect(try values(lossy) == Streams.baselineValues)
        // The JPEG stream inside is the one from before.
        let repacked = image(Streams.jpegXLOfBaseline8, .jpegXLOfJPEG, allocated: allocated, stored: stored)
        #expect(try values(repacked) == Streams.baselineValues)
    }

    @Test func damagedJPEGXLIsAReason() {
        #expect(failure(image(Streams.jpegXL8.prefix(30), .jpegXLLossy)) != nil)
        #expect(failure(image(Streams.jpegXL12, .jpegXL, allocated: 8))?.name == "bad-geometry")
        #expect(failure(image(Streams.jpegXL8, .jpegXL, rows: 9))?.name == "bad-geometry")
        #expect(failure(image(Streams.jpegXL8, .jpegXL, colours: "RGB"))?.name == "bad-geometry")
    }

    @Test(arguments: [(16, 12), (16, 16), (32, 16)] as [(UInt16, UInt16)])
    func streamsOfTwelveBitsGiveTheirValues(allocated: UInt16, stored: UInt16) throws {
        let streams: [(Data, Syntax)] = [
            (Streams.lossless12, .lossless), (Streams.j2k12, .jpeg2000), (Streams.htj2k12, .highThroughput),
            (Streams.jpegXL12, .jpegXL),
        ]
        for (stream, syntax) in streams {
            #expect(try values(image(stream, syntax, allocated: allocated, stored: stored)) == twelve, "\(syntax)")
        }
    }

    @Test func moreBitsThanAreAllocatedAreAReason() {
        for (stream, syntax) in [(Streams.lossless12, .lossless), (Streams.j2k12, .jpeg2000)] as [(Data, Syntax)] {
            #expect(failure(image(stream, syntax, allocated: 8))?.name == "bad-geometry")
        }
    }

    @Test func theSignIsTheStreamsOrOfTwosComplement() throws {
        let signed = twelve.map { $0 - 2048 }
        for (isSigned, stored) in [(true, 12), (true, 16), (false, 12), (false, 16)] as [(Bool, UInt16)] {
            let file = image(Streams.j2k12signed, .jpeg2000, stored: stored, isSigned: isSigned)
            #expect(try values(file) == signed)
        }
        let wrapped = eight.map { $0 > 127 ? $0 - 256 : $0 }
        for (stream, syntax) in [(Streams.jpegLS8, .jpegLS), (Streams.j2k8, .jpeg2000)] as [(Data, Syntax)] {
            for stored in [8, 16] as [UInt16] {
                #expect(try values(image(stream, syntax, stored: stored, isSigned: true)) == wrapped, "\(syntax)")
            }
        }
        #expect(try values(image(Streams.lossless8, .lossless, isSigned: true)) == wrapped)
        // Eight of sixteen bits hold no sign, as pydicom and GDCM have it.
        #expect(try values(image(Streams.lossless8, .lossless, stored: 16, isSigned: true)) == eight)
    }

    @Test func anotherSizeOrNumberOfComponentsIsAReason() {
        #expect(failure(image(Streams.jpegLS8, .jpegLS, rows: 7))?.name == "bad-geometry")
        #expect(failure(image(Streams.j2k8, .jpeg2000, rows: 9))?.name == "bad-geometry")
        #expect(failure(image(Streams.baseline8, .baseline, colours: "RGB"))?.name == "bad-geometry")
        #expect(failure(image(Streams.jfif444, .baseline))?.name == "bad-geometry")
        #expect(failure(image(Streams.j2k8, .jpeg2000, colours: "RGB"))?.name == "bad-geometry")
    }

    @Test(arguments: ["RGB", "YBR_FULL", "YBR_FULL_422"]) func coloursAreWhatTheStreamSays(header: String) throws {
        func colour(_ stream: Data) throws -> Set<Float> {
            Set(try values(image(stream, .baseline, allocated: 8, colours: header)))
        }
        // Luminance of red 200, green 40, blue 90 is 93.54.
        #expect(try colour(Streams.jfif444) == [94])
        #expect(try colour(Streams.rgbAdobe) == [94])
        #expect(try colour(Streams.rgbIds) == [94])
        // Nothing but chrominance is subsampled.
        #expect(try colour(Streams.bare420) == [94])
        // What says nothing is what the data set says: its components are 94, 126 and 204.
        #expect(try colour(Streams.bare444) == (header == "RGB" ? [125] : [94]))
    }

    @Test(arguments: ["RGB", "YBR_RCT", "YBR_FULL"]) func transformedJPEG2000IsRGB(header: String) throws {
        let luminance = pattern { x, y in
            let (red, green, blue) = (Double(30 * x), Double(30 * y), Double(17 * (x + y)))
            return Int(0.299 * red + 0.587 * green + 0.114 * blue + 0.5)
        }
        #expect(try values(image(Streams.j2kMct, .jpeg2000, allocated: 8, colours: header)) == luminance)
        // A fourth component is no colour.
        #expect(try values(image(Streams.j2kAlpha, .jpeg2000, allocated: 8, colours: header)) == luminance)
    }
}
