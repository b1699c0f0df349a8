// SPDX-License-Identifier: GPL-3.0-or-later

/// HTTP's Basic authentication (RFC 7617). Orthanc compares the whole header with what it expects of each user before any
/// plugin sees the request; what is left to do is to read whom it names.
enum BasicCredentials {
    private static let longestHeader = 4_096

    /// The user of an Authorization header; nil when it names none.
    static func user(in header: String) -> String? {
        guard header.hasPrefix("Basic "), header.utf8.count <= longestHeader,
            let bytes = decoded(header.utf8.dropFirst(6))
        else { return nil }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon > 0 else { return nil }
        // Two users whose names are no UTF-8 would look like one.
        return String(validating: bytes.prefix(colon), as: UTF8.self)
    }

    /// RFC 4648 section 4.
    private static func decoded(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        var isPadding = false
        for character in text {
            let value: UInt8
            switch character {
            case UInt8(ascii: "="):
                isPadding = true
                continue
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character &- UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character &- UInt8(ascii: "a") &+ 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character &- UInt8(ascii: "0") &+ 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            default: return nil
            }
            guard !isPadding else { return nil }
            bits = (bits << 6 | UInt32(value)) & 0xFFFFFF
            count &+= 6
            if count >= 8 {
                count &-= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }
}
