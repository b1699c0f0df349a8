// SPDX-License-Identifier: GPL-3.0-or-later
import Testing

@testable import GatewayCore

@Suite struct DicomHeaderTests {
    private func read(_ bytes: [UInt8]) -> DicomHeader { bytes.withUnsafeBytes { DicomHeader($0) } }

    private func expectOrdinary(_ header: DicomHeader) {
        #expect(header.sopClassUID == "1.2.840.10008.5.1.4.1.1.2")
        #expect(header.sopInstanceUID == "1.2.3.4.5")
        #expect(header.modality == "CT")
        #expect(header.institutionName == "Spital Nord")
        #expect(header.bodyPartExamined == "HEAD")
        #expect(header.studyInstanceUID == "1.2.3.4")
        #expect(header.seriesInstanceUID == "1.2.3.4.1")
    }

    @Test(arguments: [
        (DicomBytes.Encoding.explicitLittle, "1.2.840.10008.1.2.1"), (.explicitLittle, "1.2.840.10008.1.2.4.90"),
        (.explicitLittle, "1.2.3.private"), (.implicitLittle, "1.2.840.10008.1.2"),
        (.explicitBig, "1.2.840.10008.1.2.2"),
    ])
    func `a file is read in each transfer syntax`(_ encoding: DicomBytes.Encoding, _ transferSyntax: String) {
        expectOrdinary(read(DicomBytes.file(transferSyntax: transferSyntax, .ordinary(encoding))))
    }

    @Test func `a data set without preamble and without transfer syntax is read`() {
        expectOrdinary(read(DicomBytes.ordinary().bytes))
        expectOrdinary(read(DicomBytes.ordinary(.implicitLittle).bytes))
        expectOrdinary(read(DicomBytes.file(transferSyntax: nil, .ordinary(.implicitLittle))))
    }

    @Test func `of a deflated file only the meta information is known`() {
        let header = read(DicomBytes.file(transferSyntax: "1.2.840.10008.1.2.1.99", .ordinary()))
        #expect(header.sopClassUID == "1.2.840.10008.5.1.4.1.1.7")
        #expect(header.sopInstanceUID == "1.2.3.meta")
        #expect(header.studyInstanceUID == nil)
    }

    @Test func `cut anywhere, a file gives what came before the cut`() {
        let file = DicomBytes.file(transferSyntax: DicomBytes.explicitLittle, .ordinary())
        let whole = read(file)
        for count in 0..<file.count {
            let header = read(Array(file.prefix(count)))
            #expect(header.modality == nil || header.modality == whole.modality)
            #expect(header.studyInstanceUID == nil || header.studyInstanceUID == whole.studyInstanceUID)
        }
        #expect(read(Array(file.dropLast(10))) == whole)
    }

    @Test func `sequences of undefined length are stepped over, nested ones too`() {
        for encoding in [DicomBytes.Encoding.explicitLittle, .implicitLittle, .explicitBig] {
            var inner = DicomBytes(encoding)
            // Not the study's own: it lies within an item.
            inner.add(0x0020_000D, "UI", "9.9.9")
            inner.add(0x0008_1115, "SQ", [], length: DicomBytes.undefinedLength)
            inner.add(0xFFFE_E000, "", [], length: 0)
            inner.add(0xFFFE_E0DD, "", [])
            var data = DicomBytes(encoding)
            data.add(0x0008_0060, "CS", "CT")
            data.add(0x0008_1140, "SQ", [], length: DicomBytes.undefinedLength)
            data.add(0xFFFE_E000, "", [], length: DicomBytes.undefinedLength)
            data.append(inner.bytes)
            data.add(0xFFFE_E00D, "", [])
            data.add(0xFFFE_E000, "", inner.bytes)
            data.add(0xFFFE_E0DD, "", [])
            data.add(0x0020_000D, "UI", "1.2.3.4")
            let syntax = [
                DicomBytes.Encoding.explicitLittle: "1.2.840.10008.1.2.1", .implicitLittle: "1.2.840.10008.1.2",
                .explicitBig: "1.2.840.10008.1.2.2",
            ][encoding]
            let header = read(DicomBytes.file(transferSyntax: syntax, data))
            #expect(header.modality == "CT")
            #expect(header.studyInstanceUID == "1.2.3.4", "\(encoding)")
        }
    }

    @Test func `an unknown element of undefined length holds implicit little endian`() {
        var inner = DicomBytes(.implicitLittle)
        inner.add(0xFFFE_E000, "", [], length: DicomBytes.undefinedLength)
        inner.add(0x0008_0060, "CS", "XX")
        inner.add(0xFFFE_E00D, "", [])
        inner.add(0xFFFE_E0DD, "", [])
        var data = DicomBytes()
        data.add(0x0009_1001, "UN", inner.bytes, length: DicomBytes.undefinedLength)
        data.add(0x0020_000D, "UI", "1.2.3.4")
        let header = read(DicomBytes.file(transferSyntax: DicomBytes.explicitLittle, data))
        #expect(header.modality == nil)
        #expect(header.studyInstanceUID == "1.2.3.4")
    }

    @Test func `lying lengths, endless sequences and deep nesting end the reading`() {
        for length: UInt32 in [0xFFFF_FFFE, 0x7FFF_FFFF, 0x8000_0000, 100_000] {
            var data = DicomBytes(.implicitLittle)
            data.add(0x0008_0060, "CS", "CT")
            data.add(0x0008_0080, "LO", Array("ABCD".utf8), length: length)
            data.add(0x0020_000D, "UI", "1.2.3.4")
            let header = read(DicomBytes.file(transferSyntax: "1.2.840.10008.1.2", data))
            #expect(header.modality == "CT")
            #expect(header.institutionName == nil)
            #expect(header.studyInstanceUID == nil)
        }
        var deep = DicomBytes()
        for _ in 0..<10_000 {
            deep.add(0x0008_1140, "SQ", [], length: DicomBytes.undefinedLength)
            deep.add(0xFFFE_E000, "", [], length: DicomBytes.undefinedLength)
        }
        #expect(read(deep.bytes) == read([]))
        var endless = DicomBytes()
        endless.add(0x0008_1140, "SQ", [], length: DicomBytes.undefinedLength)
        for _ in 0..<100_000 { endless.add(0xFFFE_E000, "", []) }
        #expect(read(endless.bytes) == read([]))
    }

    @Test func `values are trimmed, and empty, over-long or undefined ones are nil`() {
        var data = DicomBytes()
        data.add(0x0008_0060, "CS", "  ")
        data.add(0x0008_0080, "LO", [UInt8](repeating: 0x41, count: 1_000))
        data.add(0x0018_0015, "CS", " head ")
        data.add(0x0020_000D, "UI", [])
        let header = read(DicomBytes.file(transferSyntax: DicomBytes.explicitLittle, data))
        #expect(header.modality == nil)
        #expect(header.institutionName == nil)
        #expect(header.bodyPartExamined == "head")
        #expect(header.studyInstanceUID == nil)
    }

    @Test(arguments: [([0x4B, 0xF6, 0x6C, 0x6E], "Köln"), (Array("Köln!".utf8), "Köln!"), ([0xFF, 0x00], "ÿ")])
    func `text of another character set does no harm`(_ value: [UInt8], _ expected: String) {
        var data = DicomBytes()
        data.add(0x0008_0080, "LO", value)
        #expect(read(data.bytes).institutionName == expected)
    }

    @Test func `rubbish is no header`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...400)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            _ = read(bytes)
            _ = read([UInt8](repeating: 0, count: 128) + Array("DICM".utf8) + bytes)
        }
        #expect(read([]) == read(Array("not DICOM at all".utf8)))
    }
}
