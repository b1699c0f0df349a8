// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Phantoms
import Testing

/// Lossless JPEG and JPEG-LS are decoded without DCMTK, whose encoders say what is right.
@Suite struct LosslessJPEGTests {
    /// Frames that make codes of every length: flat, a ramp, noise, noise on a slope with flat stretches, extremes.
    private static func pictures(rows: Int, columns: Int, bits: Int) -> [UInt16] {
        let most = (1 << bits) - 1
        var state: UInt64 = 99
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        var words: [UInt16] = []
        for picture in 0..<5 {
            for y in 0..<rows {
                for x in 0..<columns {
                    let value =
                        switch picture {
                        case 0: most / 3
                        case 1: (x * 5 + y * 3) % (most + 1)
                        case 2: random(most + 1)
                        case 3: (x / 7 + y / 9) % 2 == 0 ? most / 2 : min(most, most / 4 + x + random(6))
                        default: random(3) == 0 ? most : random(2) == 0 ? 0 : most / 2
                        }
                    words.append(UInt16(value))
                }
            }
        }
        return words
    }

    private static let jpeg = (1...7).map { ("/usr/bin/dcmcjpeg", ["+el", "+sv", String($0)]) }
    private static let others: [(String, [String])] = [
        ("/usr/bin/dcmcjpeg", ["+e1"]), ("/usr/bin/dcmcjpls", ["+el"]),
        ("/usr/bin/dcmcjpls", ["+el", "+t1", "9", "+t2", "12", "+t3", "40", "+rs", "31"]),
        ("/usr/bin/dcmcjpls", ["+el", "+fs", "1"]),
    ]

    @Test(
        .enabled(if: isInstalled("/usr/bin/dcmcjpeg", "/usr/bin/dcmcjpls"), "needs Debian's dcmtk"),
        arguments: jpeg + others)
    func everySampleComesBackAsItWas(tool: String, options: [String]) throws {
        for (rows, columns, bits, isSigned) in [
            (1, 1, 16, false), (1, 9, 12, false), (9, 1, 16, true), (33, 17, 9, false), (40, 64, 12, true),
            (31, 67, 16, false), (64, 63, 16, true),
        ] {
            let words = Self.pictures(rows: rows, columns: columns, bits: bits)
            let file = DicomBuilder.image(
                rows: rows, columns: columns, words: words, frames: 5, bitsStored: bits, isSigned: isSigned
            ).file
            let compressed = try convert(file, with: tool, options)
            #expect(try DicomInstance(compressed).transferSyntaxUID != DicomInstance(file).transferSyntaxUID)
            for frame in 0..<5 {
                let (found, expected) = try (values(compressed, frame: frame), values(file, frame: frame))
                #expect(found == expected, "\(rows) × \(columns), \(bits) bits, frame \(frame)")
            }
        }
    }

    @Test(
        .enabled(if: isInstalled("/usr/bin/dcmcjpeg", "/usr/bin/dcmcjpls"), "needs Debian's dcmtk"),
        arguments: [("/usr/bin/dcmcjpeg", ["+e1"]), ("/usr/bin/dcmcjpls", ["+el"])])
    func bytesComeBackAsTheyWere(tool: String, options: [String]) throws {
        let words = Self.pictures(rows: 30, columns: 34, bits: 8)
        var builder = DicomBuilder.image(rows: 30, columns: 34, words: [], frames: 5, bitsStored: 8)
        builder.number(0x0028_0100, 8)
        builder.raw(0x7FE0_0010, "OB", Data(words.map { UInt8($0) }))
        let compressed = try convert(builder.file, with: tool, options)
        for frame in 0..<5 {
            #expect(try values(compressed, frame: frame) == values(builder.file, frame: frame))
        }
    }

    @Test(
        .enabled(
            if: isInstalled("/usr/bin/dcmcjpeg", "/usr/bin/dcmdjpeg", "/usr/bin/dcmcjpls", "/usr/bin/dcmdjpls"),
            "needs Debian's dcmtk"),
        arguments: [
            ("/usr/bin/dcmcjpeg", "/usr/bin/dcmdjpeg", ["+e1", "+pt", "3"]),
            ("/usr/bin/dcmcjpls", "/usr/bin/dcmdjpls", ["+en", "+md", "2"]),
        ])
    func whatIsNotQuiteLosslessDecodesToWhatDCMTKSees(coder: String, decoder: String, options: [String]) throws {
        let words = Self.pictures(rows: 40, columns: 44, bits: 12)
        let file = DicomBuilder.image(rows: 40, columns: 44, words: words, frames: 5, bitsStored: 12).file
        let compressed = try convert(file, with: coder, options)
        let plain = try convert(compressed, with: decoder)
        for frame in 0..<5 {
            let decoded = try values(compressed, frame: frame)
            #expect(try decoded == values(plain, frame: frame))
            #expect(Set(decoded).count > 1 || frame == 0)
        }
    }

    @Test(arguments: [PhantomTransferSyntax.jpegLossless, .jpegLS])
    func aFrameThatBreaksOffIsAnError(syntax: PhantomTransferSyntax) throws {
        let file = try PhantomStudy.headCT(seed: 4, index: 1, look: .b, isPositive: true, slices: 4, matrix: 64)
            .instance(2, transferSyntax: syntax)
        let start = try #require(file.range(of: Data([0xFF, 0xD8, 0xFF]))?.lowerBound)
        // The last bytes are the end marker, padding and the end of the sequence.
        let scan = file.count - start - 12
        for share in 1..<20 {
            var cut = file
            let from = start + scan * share / 20
            // The end marker comes early, and the file itself is whole.
            for index in from..<file.count - 8 { cut[index] = index % 2 == from % 2 ? 0xFF : 0xD9 }
            let name = try #require(failure(cut)?.name, "cut at \(share)/20")
            #expect(name == "truncated" || name == "decode-failed")
        }
    }
}
