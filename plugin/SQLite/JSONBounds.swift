// SPDX-License-Identifier: GPL-3.0-or-later

/// How long, deep and wide JSON text may be. SQLite's JSON functions recurse, and a gateway's HTTP threads have small
/// stacks: text nested 1,168 deep ended Orthanc. So no text is parsed before `fault(in:)` has looked at it.
public struct JSONBounds: Sendable, Equatable {
    /// What comes from outside: a verdict, a flag, a worker's status, a setting, and whatever was stored of it.
    public static let incoming = JSONBounds(bytes: 1 << 20, depth: 32, values: 100_000)
    /// What this process, or Orthanc, puts together of many such texts.
    public static let document = JSONBounds(bytes: 64 << 20, depth: 64, values: 2_000_000)

    public let bytes: Int
    /// Arrays and objects within each other; at most 64, see `JSONScanner`.
    public let depth: Int
    /// Texts, numbers, literals, arrays and objects, names not counted.
    public let values: Int

    private init(bytes: Int, depth: Int, values: Int) {
        self.bytes = bytes
        self.depth = depth
        self.values = values
    }

    /// What is wrong with the text; nil for JSON (RFC 8259) in UTF-8 within these bounds. Takes time in proportion to
    /// the length and no stack.
    public func fault(in text: String) -> JSONFault? {
        var text = text
        return text.withUTF8 { unsafe fault(in: UnsafeRawBufferPointer($0)) }
    }

    func fault(in text: UnsafeRawBufferPointer) -> JSONFault? {
        guard text.count <= bytes else { return .tooLong(bytes: bytes) }
        var scanner = unsafe JSONScanner(text, self)
        do throws(JSONFault) {
            try scanner.scan()
            return nil
        } catch {
            return error
        }
    }
}
