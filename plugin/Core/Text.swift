// SPDX-License-Identifier: GPL-3.0-or-later

#if canImport(Glibc)
    import Glibc
#endif

/// Text of a caller: UTF-8 that ends with a zero byte. Bytes that are not UTF-8 become U+FFFD.
enum Text {
    /// Longer than any settings or review.
    static let longest = 1_048_576

    /// Nil for null and for text longer than `longest` bytes, of which no more than that are looked at.
    static func read(_ pointer: UnsafePointer<CChar>?, longest: Int = Text.longest) -> String? {
        guard let pointer = unsafe pointer, unsafe strnlen(pointer, longest &+ 1) <= longest else { return nil }
        return unsafe String(cString: pointer)
    }

    /// Cuts `text` to fit, with its zero byte.
    static func fill(_ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ text: String) {
        guard let buffer = unsafe buffer, capacity > 0 else { return }
        let bytes = text.utf8.prefix(capacity &- 1)
        for (offset, byte) in bytes.enumerated() { unsafe buffer[offset] = CChar(bitPattern: byte) }
        unsafe buffer[bytes.count] = 0
    }
}
