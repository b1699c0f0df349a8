// SPDX-License-Identifier: GPL-3.0-or-later

extension DecodingError {
    /// A word that is none of those a key takes.
    static func unknownWord(_ word: String, allowed: String, _ decoder: Decoder) -> DecodingError {
        .dataCorrupted(
            .init(
                codingPath: decoder.codingPath, debugDescription: "“\(word.prefix(80))” is not known; write \(allowed)")
        )
    }
}

extension Encoder {
    func encodeWord(_ word: String) throws {
        var container = singleValueContainer()
        try container.encode(word)
    }
}
