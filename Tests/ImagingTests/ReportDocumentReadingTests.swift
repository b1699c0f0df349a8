// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Statements
import Testing

@Suite struct ReportDocumentReadingTests {
    private static func set(_ fill: (inout DicomBuilder) -> Void) -> DicomBuilder {
        var builder = DicomBuilder()
        fill(&builder)
        return builder
    }

    /// The value of a sequence.
    private static func items(_ sets: [DicomBuilder]) -> Data {
        sets.reduce(into: Data()) { bytes, set in
            bytes.append(contentsOf: [0xFE, 0xFF, 0x00, 0xE0])
            bytes.append(little: UInt16(set.dataSet.count & 0xFFFF))
            bytes.append(little: UInt16(set.dataSet.count >> 16))
            bytes.append(set.dataSet)
        }
    }

    private static func code(_ value: String, _ meaning: String = "", scheme: String = "DCM") -> Data {
        items([
            set {
                $0.text(0x0008_0100, "SH", value)
                $0.text(0x0008_0102, "SH", scheme)
                $0.text(0x0008_0104, "LO", meaning)
            }
        ])
    }

    private static func finding(_ children: [DicomBuilder] = []) -> DicomBuilder {
        set {
            $0.text(0x0040_A010, "CS", "CONTAINS")
            $0.text(0x0040_A040, "CS", "CODE")
            $0.raw(0x0040_A043, "SQ", code("121071", "Finding"))
            $0.raw(0x0040_A168, "SQ", code("1386000", "Blutung im Schädel", scheme: "SCT"))
            if !children.isEmpty { $0.raw(0x0040_A730, "SQ", items(children)) }
        }
    }

    private static func report(_ content: [DicomBuilder]) -> DicomBuilder {
        set {
            $0.text(0x0008_0005, "CS", "ISO_IR 192")
            $0.text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.88.33")
            $0.text(0x0008_0018, "UI", "1.2.3.9")
            $0.text(0x0008_0023, "DA", "20260102")
            $0.text(0x0008_0033, "TM", "030405")
            $0.text(0x0008_0201, "SH", "+0100")
            $0.text(0x0020_000D, "UI", "1.2.3")
            $0.text(0x0040_A040, "CS", "CONTAINER")
            $0.raw(0x0040_A043, "SQ", code("126000", "Imaging Measurement Report"))
            $0.text(0x0040_A491, "CS", "COMPLETE")
            $0.text(0x0040_A493, "CS", "VERIFIED")
            $0.raw(
                0x0040_A073, "SQ",
                items([
                    set {
                        $0.text(0x0040_A030, "DT", "20260103")
                        $0.text(0x0040_A075, "PN", "Second^Reader")
                    },
                    set {
                        $0.text(0x0040_A030, "DT", "20260102")
                        $0.text(0x0040_A075, "PN", "First^Reader")
                    },
                ]))
            $0.raw(0x0040_A375, "SQ", items([set { $0.text(0x0020_000D, "UI", "1.2.3") }]))
            $0.raw(0x0040_A730, "SQ", items(content))
        }
    }

    private func read(_ builder: DicomBuilder) throws -> ReportDocument {
        try InstanceReader.read(builder.file) { reader throws(ImagingError) in try reader.document() }
    }

    @Test func `A report is read with its codes, signatures and evidence`() throws {
        let note = Self.set {
            $0.text(0x0040_A040, "CS", "TEXT")
            $0.text(0x0040_A160, "UT", "free text")
            $0.raw(0x0040_A730, "SQ", Self.items([Self.finding()]))
        }
        let presence = Self.set {
            $0.text(0x0040_A040, "CS", "CODE")
            $0.raw(0x0040_A043, "SQ", Self.code("121052"))
            $0.raw(0x0040_A168, "SQ", Self.code("121054", "Absent"))
        }
        let document = try read(Self.report([Self.finding([presence]), note]))
        #expect(document.completion == "COMPLETE" && document.verification == "VERIFIED")
        #expect(document.verifier == "Second^Reader" && document.verifiedAt == "20260103")
        #expect(document.date == "20260102" && document.time == "030405" && document.zone == "+0100")
        #expect(document.studies == ["1.2.3"])
        #expect(document.items.map(\.parent) == [nil, 0, 1])
        #expect(document.items.map(\.type) == ["CONTAINER", "CODE", "CODE"])
        #expect(
            document.items[1].code == Finding.Code(scheme: "SCT", value: "1386000", meaning: "Blutung im Schädel"))
    }

    @Test func `An image is no document`() {
        let image = DicomBuilder.image(rows: 2, columns: 2, words: [1, 2, 3, 4])
        #expect { try read(image) } throws: { ($0 as? ImagingError)?.reason == .malformed }
    }

    @Test func `Content that is nested without end is refused`() {
        var innermost = Self.finding()
        for _ in 0..<200 { innermost = Self.finding([innermost]) }
        let report = Self.report([innermost])
        #expect { try read(report) } throws: { ($0 as? ImagingError)?.reason == .malformed }
    }

    @Test func `A report of more items than any real one is refused`() {
        let report = Self.report([DicomBuilder](repeating: Self.finding(), count: 20_001))
        #expect { try read(report) } throws: { ($0 as? ImagingError)?.reason == .tooLarge }
    }

    @Test func `A report that is cut anywhere is read or refused`() throws {
        let file = Self.report([Self.finding(), Self.finding()]).file
        for count in stride(from: 132, to: file.count, by: 3) {
            let piece = file.prefix(count)
            _ = try? InstanceReader.read(piece) { reader throws(ImagingError) in try reader.document() }
        }
        _ = try InstanceReader.read(file) { reader throws(ImagingError) in try reader.document() }
    }
}
