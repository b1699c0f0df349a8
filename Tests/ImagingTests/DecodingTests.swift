// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Phantoms
import Testing

@Suite struct DecodingTests {
    @Test(arguments: PhantomTransferSyntax.allCases, PhantomLook.allCases)
    func aPhantomHasTheSameValuesInEveryTransferSyntax(syntax: PhantomTransferSyntax, look: PhantomLook) throws {
        let study = try PhantomStudy.headCT(seed: 5, index: 1, look: look, isPositive: true, slices: 8, matrix: 96)
        let plain = try values(study.instance(4))
        let file = try study.instance(4, transferSyntax: syntax)
        #expect(try DicomInstance(file).transferSyntaxUID?.text == syntax.uid)
        #expect(try values(file) == plain)
        #expect(Set(plain).count > 100)
    }

    @Test(
        .enabled(
            if: isInstalled("/usr/bin/dcmcrle", "/usr/bin/dcmcjpeg", "/usr/bin/dcmcjpls", "/usr/bin/dcmconv"),
            "needs Debian's dcmtk"),
        arguments: [
            ("/usr/bin/dcmcrle", []), ("/usr/bin/dcmcjpeg", ["+e1"]), ("/usr/bin/dcmcjpeg", ["+el"]),
            ("/usr/bin/dcmcjpls", ["+el"]), ("/usr/bin/dcmconv", ["+ti"]), ("/usr/bin/dcmconv", ["+tb"]),
            ("/usr/bin/dcmconv", ["+td"]), ("/usr/bin/dcmconv", ["-F", "+ti"]), ("/usr/bin/dcmconv", ["-F", "+tb"]),
        ] as [(String, [String])])
    func whatDCMTKsToolsWriteDecodesToTheSameValues(tool: String, options: [String]) throws {
        for look in PhantomLook.allCases {
            let study = try PhantomStudy.headCT(seed: 6, index: 2, look: look, isPositive: false, slices: 6, matrix: 64)
            let file = try study.instance(3)
            #expect(try values(convert(file, with: tool, options)) == values(file))
        }
    }

    @Test(
        .enabled(if: isInstalled("/usr/bin/dcmcjpeg", "/usr/bin/dcmdjpeg"), "needs Debian's dcmtk"),
        arguments: [["+eb", "+q", "80"], ["+ee", "+q", "80"]])
    func lossyJPEGDecodesToWhatDCMTKSees(options: [String]) throws {
        let study = try PhantomStudy.chest(seed: 1, index: 1, look: .a, isPositive: true, matrix: 128)
        let lossy = try convert(study.instance(0), with: "/usr/bin/dcmcjpeg", options)
        let decoded = try values(lossy)
        #expect(try decoded == values(convert(lossy, with: "/usr/bin/dcmdjpeg")))
        #expect(Set(decoded).count > 50)
    }

    @Test func signedValuesKeepTheirSignAndAreRescaled() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 4, words: [0xFFFF, 0, 1, 0x8000], isSigned: true)
        builder.text(0x0028_1052, "DS", "-1024")
        builder.text(0x0028_1053, "DS", "2.5")
        #expect(try values(builder.file) == [-1026.5, -1024, -1021.5, -82944])
    }

    @Test func bitsOutsideBitsStoredDoNotCount() throws {
        let unsigned = DicomBuilder.image(rows: 1, columns: 3, words: [0xF123, 0x0FFF, 0xF000], bitsStored: 12)
        #expect(try values(unsigned.file) == [0x123, 0xFFF, 0])
        let signed = DicomBuilder.image(
            rows: 1, columns: 3, words: [0x0FFF, 0x07FF, 0xF800], bitsStored: 12, isSigned: true)
        #expect(try values(signed.file) == [-1, 2047, -2048])
        let shifted = DicomBuilder.image(rows: 1, columns: 2, words: [0x1230, 0xFFFF], bitsStored: 12, highBit: 15)
        #expect(try values(shifted.file) == [0x123, 0xFFF])
    }

    @Test func framesAreReadOneByOne() throws {
        let words: [UInt16] = Array(0..<40)
        let file = DicomBuilder.image(rows: 2, columns: 2, words: words, frames: 10).file
        #expect(try DicomInstance(file).numberOfFrames == 10)
        #expect(try values(file, frame: 0) == [0, 1, 2, 3])
        #expect(try values(file, frame: 9) == [36, 37, 38, 39])
        #expect(throws: ImagingError(.noSuchFrame, "frame 10 of an instance with 10 frames")) {
            try values(file, frame: 10)
        }
        #expect(throws: ImagingError.self) { try values(file, frame: -1) }
    }

    @Test(.enabled(if: isInstalled("/usr/bin/dcmcrle", "/usr/bin/dcmcjpls"), "needs Debian's dcmtk"))
    func compressedFramesAreReadOneByOne() throws {
        let words = (0..<192).map { (cell: Int) -> UInt16 in UInt16((cell / 64) * 1000 + (cell % 7) * 30) }
        let file = DicomBuilder.image(rows: 8, columns: 8, words: words, frames: 3).file
        for tool in ["/usr/bin/dcmcrle", "/usr/bin/dcmcjpls"] {
            let compressed = try convert(file, with: tool)
            for frame in 0..<3 { #expect(try values(compressed, frame: frame) == values(file, frame: frame)) }
        }
    }

    @Test func aDataSetWithoutMetaHeaderIsRead() throws {
        let builder = DicomBuilder.image(rows: 1, columns: 2, words: [7, 9])
        #expect(try values(builder.dataSet) == [7, 9])
        #expect(try DicomInstance(builder.dataSet).studyInstanceUID?.text == "1.2.3")
    }

    @Test func aModalityTableReplacesTheSlope() throws {
        var builder = DicomBuilder.image(rows: 1, columns: 4, words: [0, 1, 2, 9])
        // An item of 28 bytes: LUTDescriptor 3 \\ 0 \\ 16 and LUTData 100, 200, 300.
        let sequence: [UInt8] = [
            0xFE, 0xFF, 0x00, 0xE0, 28, 0, 0, 0, 0x28, 0, 0x02, 0x30, 0x55, 0x53, 6, 0, 3, 0, 0, 0, 16, 0,
            0x28, 0, 0x06, 0x30, 0x55, 0x53, 6, 0, 100, 0, 200, 0, 44, 1,
        ]
        builder.raw(0x0028_3000, "SQ", Data(sequence))
        #expect(try values(builder.file) == [100, 200, 300, 300])
    }

    @Test func textIsReadByItsCharacterSet() throws {
        func name(_ bytes: [UInt8], _ characterSet: String) throws -> String? {
            var builder = DicomBuilder.image(rows: 1, columns: 1, words: [0])
            builder.text(0x0008_0005, "CS", characterSet)
            builder.raw(0x0010_0010, "PN", Data(bytes))
            return try DicomInstance(builder.file).patientName
        }
        #expect(try name([0xC4, 0x6E, 0x5E, 0x52, 0xFC], "ISO_IR 100") == "Än^Rü")
        #expect(try name(Array("王^小東".utf8), "ISO_IR 192") == "王^小東")
        #expect(try name([0xD4, 0xCF, 0xDE], "ISO_IR 13") == "ﾔﾏﾞ")
        let escaped: [UInt8] = [0x1B, 0x24, 0x42, 0x3B, 0x33, 0x45, 0x44, 0x1B, 0x28, 0x42]
        #expect(try name(escaped, "\\ISO 2022 IR 87") == "山田")
        // A wrong declaration still gives text, and control characters never pass.
        #expect(try name([0xC4, 0x41, 0x07, 0x0A], "ISO_IR 192") == "ÄA")
    }

    @Test func twoThreadsDecodeAtOnce() async throws {
        let study = try PhantomStudy.headCT(seed: 9, index: 1, look: .a, isPositive: true, slices: 4, matrix: 64)
        let file = try study.instance(2, transferSyntax: .jpegLossless)
        let expected = try values(file)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { try (0..<20).allSatisfy { _ in try values(file) == expected } }
            }
            for try await isSame in group { #expect(isSame) }
        }
    }
}
