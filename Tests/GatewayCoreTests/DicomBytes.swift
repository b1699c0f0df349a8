// SPDX-License-Identifier: GPL-3.0-or-later

/// DICOM files byte by byte, right or wrong.
struct DicomBytes {
    enum Encoding { case explicitLittle, explicitBig, implicitLittle }

    static let explicitLittle = "1.2.840.10008.1.2.1"
    static let undefinedLength: UInt32 = 0xFFFF_FFFF

    var encoding = Encoding.explicitLittle
    private(set) var bytes: [UInt8] = []

    init(_ encoding: Encoding = .explicitLittle) { self.encoding = encoding }

    /// The preamble, “DICM”, and the file meta information.
    static func file(transferSyntax: String?, _ dataSet: DicomBytes) -> [UInt8] {
        var meta = DicomBytes()
        meta.add(0x0002_0002, "UI", "1.2.840.10008.5.1.4.1.1.7")
        meta.add(0x0002_0003, "UI", "1.2.3.meta")
        if let transferSyntax { meta.add(0x0002_0010, "UI", transferSyntax) }
        return [UInt8](repeating: 0, count: 128) + Array("DICM".utf8) + meta.bytes + dataSet.bytes
    }

    /// The elements that DicomHeader reads, and a few between them.
    static func ordinary(_ encoding: Encoding = .explicitLittle) -> DicomBytes {
        var data = DicomBytes(encoding)
        data.add(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.2")
        data.add(0x0008_0018, "UI", "1.2.3.4.5")
        data.add(0x0008_0060, "CS", "CT")
        data.add(0x0008_0080, "LO", "Spital Nord ")
        data.add(0x0010_0010, "PN", "Doe^Jane")
        data.add(0x0018_0015, "CS", "HEAD")
        data.add(0x0020_000D, "UI", "1.2.3.4")
        data.add(0x0020_000E, "UI", "1.2.3.4.1")
        data.add(0x0020_0011, "IS", "1")
        return data
    }

    mutating func add(_ tag: UInt32, _ representation: String, _ text: String) {
        var value = Array(text.utf8)
        if value.count % 2 == 1 { value.append(representation == "UI" ? 0 : 0x20) }
        add(tag, representation, value)
    }

    /// - Parameter length: what the element says of itself; nil: the truth.
    mutating func add(_ tag: UInt32, _ representation: String, _ value: [UInt8], length: UInt32? = nil) {
        number(tag >> 16, 2)
        number(tag & 0xFFFF, 2)
        let said = length ?? UInt32(value.count)
        if encoding == .implicitLittle || tag >> 16 == 0xFFFE {
            number(said, 4)
        } else {
            bytes += Array(representation.utf8)
            if ["OB", "OW", "SQ", "UN", "UT", "UC", "UR", "OF", "OD", "OL", "OV", "SV", "UV"].contains(representation) {
                number(0, 2)
                number(said, 4)
            } else {
                number(said & 0xFFFF, 2)
            }
        }
        bytes += value
    }

    mutating func append(_ raw: [UInt8]) { bytes += raw }

    private mutating func number(_ value: UInt32, _ count: Int) {
        let little = (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
        bytes += encoding == .explicitBig ? little.reversed() : little
    }
}
