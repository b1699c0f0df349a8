// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// Writes small DICOM files byte by byte, so that tests can lie in them.
struct DicomBuilder {
    var transferSyntax = "1.2.840.10008.1.2.1"
    private var elements: [(tag: UInt32, vr: String, value: Data)] = []
    private var hasFragments = false

    /// An image of one sample per pixel. `words` are its cells, frame after frame.
    static func image(
        rows: Int, columns: Int, words: [UInt16], frames: Int = 1, bitsStored: Int = 16, highBit: Int? = nil,
        isSigned: Bool = false, photometric: String = "MONOCHROME2"
    ) -> DicomBuilder {
        var builder = DicomBuilder()
        builder.text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.7")
        builder.text(0x0008_0018, "UI", "1.2.3.4")
        builder.text(0x0008_0060, "CS", "OT")
        builder.text(0x0020_000D, "UI", "1.2.3")
        builder.text(0x0020_000E, "UI", "1.2.3.1")
        builder.number(0x0028_0002, 1)
        builder.text(0x0028_0004, "CS", photometric)
        if frames > 1 { builder.text(0x0028_0008, "IS", String(frames)) }
        builder.number(0x0028_0010, UInt16(rows))
        builder.number(0x0028_0011, UInt16(columns))
        builder.number(0x0028_0100, 16)
        builder.number(0x0028_0101, UInt16(bitsStored))
        builder.number(0x0028_0102, UInt16(highBit ?? bitsStored - 1))
        builder.number(0x0028_0103, isSigned ? 1 : 0)
        builder.raw(0x7FE0_0010, "OW", words.reduce(into: Data()) { $0.append(little: $1) })
        return builder
    }

    mutating func text(_ tag: UInt32, _ vr: String, _ value: String) {
        raw(tag, vr, Data(value.utf8))
    }

    mutating func number(_ tag: UInt32, _ value: UInt16) {
        var bytes = Data()
        bytes.append(little: value)
        raw(tag, "US", bytes)
    }

    /// Replaces the element when it is there.
    mutating func raw(_ tag: UInt32, _ vr: String, _ value: Data) {
        elements.removeAll { $0.tag == tag }
        var padded = value
        if padded.count % 2 == 1 { padded.append(vr == "UI" || vr == "OB" ? 0 : 0x20) }
        elements.append((tag, vr, padded))
    }

    /// Encapsulated pixel data (PS3.5 annex A.4): the offset table, which is empty when nil, and the fragments.
    mutating func fragments(_ pieces: [Data], offsets: [Int]? = nil) {
        var bytes = Data()
        func append(_ item: Data) {
            bytes.append(contentsOf: [0xFE, 0xFF, 0x00, 0xE0])
            bytes.append(little: UInt32(item.count))
            bytes.append(item)
        }
        append((offsets ?? []).reduce(into: Data()) { $0.append(little: UInt32($1)) })
        for piece in pieces { append(piece.count % 2 == 0 ? piece : piece + [0]) }
        raw(0x7FE0_0010, "OB", bytes + [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0])
        hasFragments = true
    }

    /// A sequence of one item.
    mutating func sequence(_ tag: UInt32, _ item: DicomBuilder) {
        let content = item.dataSet
        var bytes = Data([0xFE, 0xFF, 0x00, 0xE0])
        bytes.append(little: UInt32(content.count))
        raw(tag, "SQ", bytes + content)
    }

    /// Sixteen-bit values of any VR.
    mutating func words(_ tag: UInt32, _ vr: String, _ words: [UInt16]) {
        raw(tag, vr, words.reduce(into: Data()) { $0.append(little: $1) })
    }

    mutating func remove(_ tag: UInt32) {
        elements.removeAll { $0.tag == tag }
    }

    /// The file: preamble, meta header, data set in explicit little endian.
    var file: Data {
        var meta = Data()
        Self.append(
            0x0002_0010, "UI", Data((transferSyntax + (transferSyntax.utf8.count % 2 == 1 ? "\0" : "")).utf8), to: &meta
        )
        return Data(count: 128) + Data("DICM".utf8) + meta + dataSet
    }

    /// The data set alone, as old archives keep it.
    var dataSet: Data {
        var bytes = Data()
        for element in elements.sorted(by: { $0.tag < $1.tag }) {
            let isEndless = element.tag == 0x7FE0_0010 && hasFragments
            Self.append(element.tag, element.vr, element.value, isEndless: isEndless, to: &bytes)
        }
        return bytes
    }

    private static func append(
        _ tag: UInt32, _ vr: String, _ value: Data, isEndless: Bool = false, to bytes: inout Data
    ) {
        bytes.append(little: UInt16(tag >> 16))
        bytes.append(little: UInt16(tag & 0xFFFF))
        bytes.append(contentsOf: vr.utf8)
        if ["OB", "OD", "OF", "OV", "OW", "SQ", "UN", "UT"].contains(vr) {
            bytes.append(little: UInt16(0))
            bytes.append(little: isEndless ? UInt32.max : UInt32(value.count))
        } else {
            bytes.append(little: UInt16(value.count))
        }
        bytes.append(value)
    }
}

extension Data {
    mutating func append(little value: UInt16) {
        append(UInt8(value & 0xFF))
        append(UInt8(value >> 8))
    }

    mutating func append(little value: UInt32) {
        append(little: UInt16(value & 0xFFFF))
        append(little: UInt16(value >> 16))
    }
}
