// SPDX-License-Identifier: GPL-3.0-or-later

/// Steps from one data element to the next (PS3.5 section 7.1) in bytes that may say anything. Every position is
/// checked against the end of the bytes; nothing is ever added to a length that a file gave without that check.
///
/// Valid for as long as the bytes are.
@safe
struct DicomElementReader {
    struct Element {
        /// Group and element, for example 0x0020_000D.
        var tag: UInt32
        /// Where the value begins.
        var start: Int
        /// Nil: undefined, the value ends with a delimiter.
        var length: Int?
        /// The value's content is in implicit little endian whatever surrounds it (PS3.5 6.2.2 note on UN).
        var isUnknown: Bool
    }

    /// More than any header has, and few enough to be read in microseconds.
    private static let mostElements = 4_096
    private static let deepestNesting = 16
    /// LO is 64 characters (PS3.5 6.2), each of up to four bytes.
    private static let longestText = 256
    private static let item: UInt32 = 0xFFFE_E000
    private static let itemEnd: UInt32 = 0xFFFE_E00D
    private static let sequenceEnd: UInt32 = 0xFFFE_E0DD

    private let bytes: UnsafeRawBufferPointer
    private let count: Int
    private var position = 0
    private var isExplicit = true
    private var isBigEndian = false
    private var elementsLeft = DicomElementReader.mostElements

    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.bytes = bytes
        count = bytes.count
    }

    // MARK: Parts of the file

    /// 128 bytes and “DICM” (PS3.10 7.1); without them the first element is at the beginning.
    mutating func skipPreamble() {
        if read(at: 128, count: 4, bigEndian: true) == 0x4449_434D { position = 132 }
    }

    /// Whether the next element belongs to the file meta information. Its group length is not asked: it may lie.
    var isInMetaInformation: Bool { read(at: position, count: 2, bigEndian: false) == 0x0002 }

    /// Sets how the data set is encoded; nil when the file does not say.
    ///
    /// - Returns: false when it cannot be read, because it is compressed as a whole.
    mutating func beginDataSet(_ transferSyntax: String?) -> Bool {
        switch transferSyntax {
        // Implicit little endian; and GE's private one, which differs in the pixel data alone.
        case "1.2.840.10008.1.2", "1.2.840.113619.5.2": isExplicit = false
        case "1.2.840.10008.1.2.2": isBigEndian = true
        // Deflated; JPIP and HTJ2K JPIP referenced deflate.
        case "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205": return false
        case nil: isExplicit = hasRepresentation(at: position &+ 4)
        // PS3.5 A.4: everything encapsulated, and anything private, is explicit little endian.
        default: break
        }
        return true
    }

    // MARK: Elements

    /// The element at the present position, whose value comes next. Nil at the end, where the bytes make no sense,
    /// and when enough elements were seen.
    mutating func next() -> Element? {
        guard elementsLeft > 0, let group = read(at: position, count: 2, bigEndian: isBigEndian),
            let number = read(at: position &+ 2, count: 2, bigEndian: isBigEndian)
        else { return nil }
        elementsLeft &-= 1
        let tag = group << 16 | number
        // Items and delimiters have no value representation (PS3.5 7.5).
        guard isExplicit, group != 0xFFFE else { return element(tag, lengthAt: position &+ 4, count: 4) }
        guard hasRepresentation(at: position &+ 4),
            let representation = read(at: position &+ 4, count: 2, bigEndian: true)
        else { return nil }
        switch representation {
        // OB OD OF OL OV OW SQ SV UC UN UR UT UV
        case 0x4F42, 0x4F44, 0x4F46, 0x4F4C, 0x4F56, 0x4F57, 0x5351, 0x5356, 0x5543, 0x554E, 0x5552, 0x5554, 0x5556:
            return element(tag, lengthAt: position &+ 8, count: 4, isUnknown: representation == 0x554E)
        default: return element(tag, lengthAt: position &+ 6, count: 2)
        }
    }

    private mutating func element(_ tag: UInt32, lengthAt offset: Int, count: Int, isUnknown: Bool = false) -> Element?
    {
        guard let length = read(at: offset, count: count, bigEndian: isBigEndian) else { return nil }
        position = offset &+ count
        let isUndefined = count == 4 && length == 0xFFFF_FFFF
        return Element(tag: tag, start: position, length: isUndefined ? nil : Int(length), isUnknown: isUnknown)
    }

    /// Goes on behind the value of `element`.
    ///
    /// - Returns: false when it does not end within the bytes.
    mutating func skip(_ element: Element) -> Bool { skip(element, depth: 0) }

    private mutating func skip(_ element: Element, depth: Int) -> Bool {
        if let length = element.length { return move(to: element.start, plus: length) }
        guard depth < DicomElementReader.deepestNesting else { return false }
        let outside = (isExplicit, isBigEndian)
        if element.isUnknown { (isExplicit, isBigEndian) = (false, false) }
        defer { (isExplicit, isBigEndian) = outside }
        // A sequence of items, or the fragments of encapsulated data, which look the same from here.
        while let part = next() {
            switch part.tag {
            case DicomElementReader.sequenceEnd: return move(to: part.start, plus: 0)
            case DicomElementReader.item: guard skipItem(part, depth: depth) else { return false }
            default: return false
            }
        }
        return false
    }

    private mutating func skipItem(_ item: Element, depth: Int) -> Bool {
        if let length = item.length { return move(to: item.start, plus: length) }
        while let part = next() {
            if part.tag == DicomElementReader.itemEnd { return move(to: part.start, plus: 0) }
            guard skip(part, depth: depth &+ 1) else { return false }
        }
        return false
    }

    private mutating func move(to start: Int, plus length: Int) -> Bool {
        guard length >= 0, length <= count &- start else { return false }
        position = start &+ length
        return true
    }

    // MARK: Values

    /// The element's text without the spaces and zero bytes around it; nil when it is empty, too long or not there.
    /// Bytes that are not UTF-8 are taken as ISO 8859-1, the commonest other repertoire (PS3.3 C.12.1.1.2).
    func text(of element: Element) -> String? {
        guard let length = element.length, (1...DicomElementReader.longestText).contains(length),
            length <= count &- element.start
        else { return nil }
        var value = unsafe bytes[element.start..<(element.start &+ length)]
        while let last = unsafe value.last, last == 0x20 || last == 0 { unsafe value.removeLast() }
        while let first = unsafe value.first, first == 0x20 { unsafe value.removeFirst() }
        guard unsafe !value.isEmpty else { return nil }
        if let text = unsafe String(validating: value, as: UTF8.self) { return text }
        return unsafe String(String.UnicodeScalarView(value.map { Unicode.Scalar($0) }))
    }

    /// Whether two capital letters are at `offset`: a value representation (PS3.5 7.1.2).
    private func hasRepresentation(at offset: Int) -> Bool {
        guard let letters = read(at: offset, count: 2, bigEndian: true) else { return false }
        return (0x41...0x5A).contains(letters >> 8) && (0x41...0x5A).contains(letters & 0xFF)
    }

    /// An unsigned number of two or four bytes; nil behind the end.
    private func read(at offset: Int, count size: Int, bigEndian: Bool) -> UInt32? {
        guard offset >= 0, offset <= count &- size else { return nil }
        var number: UInt32 = 0
        for index in 0..<size {
            let byte = unsafe UInt32(bytes[bigEndian ? offset &+ index : offset &+ size &- 1 &- index])
            number = number << 8 | byte
        }
        return number
    }
}
