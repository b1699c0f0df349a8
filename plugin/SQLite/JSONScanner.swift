// SPDX-License-Identifier: GPL-3.0-or-later

/// Walks through JSON text (RFC 8259) without recursion and without keeping any of it. Valid for as long as the bytes are.
@safe
struct JSONScanner {
    private enum Expected { case value, valueOrEnd, name, nameOrEnd, colon, commaOrEnd, nothing }

    private let bytes: UnsafeRawBufferPointer
    private let bounds: JSONBounds
    private var position = 0
    private var depth = 0
    /// One bit for each open array (0) and object (1), the innermost one lowest: room for 64.
    private var objects: UInt64 = 0
    private var values = 0

    init(_ bytes: UnsafeRawBufferPointer, _ bounds: JSONBounds) {
        unsafe self.bytes = bytes
        self.bounds = bounds
    }

    mutating func scan() throws(JSONFault) {
        var expected = Expected.value
        while let byte = nextVisible() {
            switch (expected, byte) {
            case (.nameOrEnd, UInt8(ascii: "}")), (.valueOrEnd, UInt8(ascii: "]")): expected = close()
            case (.commaOrEnd, UInt8(ascii: "}")) where isInObject: expected = close()
            case (.commaOrEnd, UInt8(ascii: "]")) where !isInObject: expected = close()
            case (.value, _), (.valueOrEnd, _): expected = try value(byte)
            case (.name, UInt8(ascii: "\"")), (.nameOrEnd, UInt8(ascii: "\"")):
                try string()
                expected = .colon
            case (.colon, UInt8(ascii: ":")): expected = .value
            case (.commaOrEnd, UInt8(ascii: ",")): expected = isInObject ? .name : .value
            default: throw malformed
            }
        }
        guard expected == .nothing else { throw .malformed(byte: position) }
    }

    private var isInObject: Bool { objects & 1 == 1 }

    /// The byte that was read last does not belong there.
    private var malformed: JSONFault { .malformed(byte: max(position &- 1, 0)) }

    private mutating func value(_ first: UInt8) throws(JSONFault) -> Expected {
        values &+= 1
        guard values <= bounds.values else { throw .tooManyValues(values: bounds.values) }
        switch first {
        case UInt8(ascii: "{"):
            try open(1)
            return .nameOrEnd
        case UInt8(ascii: "["):
            try open(0)
            return .valueOrEnd
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "t"): try literal("rue")
        case UInt8(ascii: "f"): try literal("alse")
        case UInt8(ascii: "n"): try literal("ull")
        default: try number(first)
        }
        return afterValue
    }

    private var afterValue: Expected { depth == 0 ? .nothing : .commaOrEnd }

    private mutating func open(_ bit: UInt64) throws(JSONFault) {
        guard depth < min(bounds.depth, UInt64.bitWidth) else { throw .tooDeep(depth: bounds.depth) }
        depth &+= 1
        objects = objects << 1 | bit
    }

    private mutating func close() -> Expected {
        depth &-= 1
        objects >>= 1
        return afterValue
    }

    // MARK: Scalars

    private mutating func literal(_ rest: StaticString) throws(JSONFault) {
        for index in 0..<rest.utf8CodeUnitCount {
            guard let byte = next(), unsafe byte == rest.utf8Start[index] else { throw malformed }
        }
    }

    private mutating func number(_ first: UInt8) throws(JSONFault) {
        var digit = first
        if first == UInt8(ascii: "-") {
            guard let byte = next() else { throw malformed }
            digit = byte
        }
        guard JSONScanner.isDigit(digit) else { throw malformed }
        // No zero in front of another digit.
        if digit != UInt8(ascii: "0") { skipDigits() }
        if skip(UInt8(ascii: ".")) { try digits() }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
            try digits()
        }
    }

    private mutating func digits() throws(JSONFault) {
        guard let byte = next(), JSONScanner.isDigit(byte) else { throw malformed }
        skipDigits()
    }

    private mutating func skipDigits() {
        while let byte = peek, JSONScanner.isDigit(byte) { position &+= 1 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// What follows the opening quote, up to the closing one.
    private mutating func string() throws(JSONFault) {
        while let byte = next() {
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20: throw malformed
            case 0x80...: try continuation(of: byte)
            default: continue
            }
        }
        throw malformed
    }

    private mutating func escape() throws(JSONFault) {
        guard let byte = next() else { throw malformed }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return
        case UInt8(ascii: "u"):
            for _ in 0..<4 {
                guard let digit = next(), JSONScanner.isDigit(digit) || (0x61...0x66).contains(digit | 0x20) else {
                    throw malformed
                }
            }
        default: throw malformed
        }
    }

    /// The Unicode Standard, table 3-7: well-formed UTF-8.
    private mutating func continuation(of first: UInt8) throws(JSONFault) {
        let second: ClosedRange<UInt8>
        let more: Int
        switch first {
        case 0xC2...0xDF: (second, more) = (0x80...0xBF, 0)
        case 0xE0: (second, more) = (0xA0...0xBF, 1)
        case 0xE1...0xEC, 0xEE...0xEF: (second, more) = (0x80...0xBF, 1)
        case 0xED: (second, more) = (0x80...0x9F, 1)
        case 0xF0: (second, more) = (0x90...0xBF, 2)
        case 0xF1...0xF3: (second, more) = (0x80...0xBF, 2)
        case 0xF4: (second, more) = (0x80...0x8F, 2)
        default: throw malformed
        }
        guard let byte = next(), second.contains(byte) else { throw malformed }
        for _ in 0..<more {
            guard let byte = next(), (0x80...0xBF).contains(byte) else { throw malformed }
        }
    }

    // MARK: Bytes

    private var peek: UInt8? { unsafe position < bytes.count ? bytes[position] : nil }

    private mutating func next() -> UInt8? {
        guard let byte = peek else { return nil }
        position &+= 1
        return byte
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position &+= 1
        return true
    }

    /// The next byte that is not white space.
    private mutating func nextVisible() -> UInt8? {
        while let byte = next() {
            switch byte {
            case 0x20, 0x09, 0x0A, 0x0D: continue
            default: return byte
            }
        }
        return nil
    }
}
