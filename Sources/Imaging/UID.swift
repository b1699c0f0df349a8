// SPDX-License-Identifier: GPL-3.0-or-later

/// A DICOM unique identifier (PS3.5 section 9) that says what it identifies.
///
/// Digits and dots, 1 to 64 of them. Reading is tolerant beyond that: components with leading zeros occur in archives
/// and still identify.
public struct UID<Role>: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    /// Nil when the text is no UID.
    public init?(_ text: String) {
        guard (1...64).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E })
        else { return nil }
        self.text = text
    }

    public var description: String { text }
}

public enum UIDRole {
    public enum Study {}
    public enum Series {}
    public enum Instance {}
    public enum SOPClass {}
    public enum TransferSyntax {}
}

public typealias StudyInstanceUID = UID<UIDRole.Study>
public typealias SeriesInstanceUID = UID<UIDRole.Series>
public typealias SOPInstanceUID = UID<UIDRole.Instance>
public typealias SOPClassUID = UID<UIDRole.SOPClass>
public typealias TransferSyntaxUID = UID<UIDRole.TransferSyntax>

extension UID: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let uid = UID(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a DICOM UID: “\(text.prefix(80))”"))
        }
        self = uid
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
