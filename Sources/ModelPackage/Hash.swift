// SPDX-License-Identifier: GPL-3.0-or-later
import Crypto
import Foundation

/// A SHA-256 as 64 lower-case hexadecimal digits.
public struct Hash: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
    public let hex: String

    /// Nil unless 64 hexadecimal digits in lower case.
    public init?(hex: String) {
        guard hex.utf8.count == 64, hex.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.hex = hex
    }

    public init(of data: Data) {
        hex = Self.hex(SHA256.hash(data: data))
    }

    /// The hash of a file's content, read in pieces.
    public init(ofFile url: URL) throws {
        let file = try FileHandle(forReadingFrom: url)
        defer { try? file.close() }
        var state = SHA256()
        while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty { state.update(data: piece) }
        hex = Self.hex(state.finalize())
    }

    public init(from decoder: Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let hash = Hash(hex: text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a SHA-256: “\(text.prefix(80))”"))
        }
        self = hash
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }

    private static func hex(_ digest: SHA256.Digest) -> String {
        digest.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// The first 12 digits, for people.
    public var short: String { String(hex.prefix(12)) }
    public var description: String { hex }

    public static func < (left: Hash, right: Hash) -> Bool { left.hex < right.hex }
}
