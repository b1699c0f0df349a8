// SPDX-License-Identifier: GPL-3.0-or-later

/// The text part of a message between gateway and worker.
///
/// On the wire: first frame `GANTRY1 <verb>`, then one frame for each text field, last one frame of payload (empty
/// where the verb has none), or several for the bytes of an instance (`Capabilities.pieceBytes`). A ROUTER's identity frame comes before all of it and is not part of the envelope.
public struct Envelope: Sendable, Equatable {
    /// Changes when a peer that speaks the old one could misunderstand.
    public static let protocolName = "GANTRY1"
    /// A field longer than this is refused: fields are ids, names and reasons.
    public static let longestFieldBytes = 4096
    /// More fields than any verb has.
    public static let mostFields = 16

    public var verb: String
    public var fields: [String]

    public init(verb: String, fields: [String]) {
        self.verb = verb
        self.fields = fields
    }

    /// The text frames in the order of the wire, without the payload frame.
    public var frames: [String] { ["\(Self.protocolName) \(verb)"] + fields }

    /// How many of a message's frames are text; the rest is payload.
    ///
    /// - Parameters:
    ///   - first: the first one, `GANTRY1 <verb>`.
    ///   - count: of all frames, without the identity frame; at least 1.
    public static func textFrames(first: [UInt8], count: Int) -> Int {
        let inPieces = ToWorker.textFrames.first { first.elementsEqual("\(protocolName) \($0.verb)".utf8) }
        guard let text = inPieces?.count, text < count else { return count - 1 }
        return text
    }

    /// - Parameter frames: the text frames, without the identity frame and the payload frames.
    public init(frames: [[UInt8]]) throws(WireError) {
        guard !frames.isEmpty else { throw .empty }
        guard frames.count <= Self.mostFields + 1 else { throw .tooManyFields(frames.count - 1) }
        var texts: [String] = []
        for frame in frames {
            guard frame.count <= Self.longestFieldBytes else { throw .fieldTooLong(frame.count) }
            guard let text = String(validating: frame, as: UTF8.self) else { throw .notText }
            texts.append(text)
        }
        guard let space = texts[0].firstIndex(of: " "), texts[0][..<space] == Self.protocolName else {
            throw .otherProtocol(String(texts[0].prefix(32)))
        }
        verb = String(texts[0][texts[0].index(after: space)...])
        fields = Array(texts.dropFirst())
    }
}

/// Why a message could not be read. Each has a stable name for counters and for the `error` verb.
public enum WireError: Error, Equatable, CustomStringConvertible {
    case empty
    case tooManyFields(Int)
    case fieldTooLong(Int)
    case notText
    case otherProtocol(String)
    case unknownVerb(String)
    case wrongFields(verb: String, expected: Int, found: Int)
    case badValue(verb: String, field: String)

    public var name: String {
        switch self {
        case .empty: "empty"
        case .tooManyFields: "too-many-fields"
        case .fieldTooLong: "field-too-long"
        case .notText: "not-text"
        case .otherProtocol: "other-protocol"
        case .unknownVerb: "unknown-verb"
        case .wrongFields: "wrong-fields"
        case .badValue: "bad-value"
        }
    }

    public var description: String {
        switch self {
        case .empty: "a message without frames"
        case .tooManyFields(let count): "\(count) fields; no verb has more than \(Envelope.mostFields)"
        case .fieldTooLong(let bytes): "a field of \(bytes) bytes; at most \(Envelope.longestFieldBytes) are allowed"
        case .notText: "a field that is not UTF-8"
        case .otherProtocol(let head): "the peer speaks “\(head)”, not \(Envelope.protocolName)"
        case .unknownVerb(let verb): "unknown verb “\(verb.prefix(32))”"
        case .wrongFields(let verb, let expected, let found):
            "\(verb) needs \(expected) fields and came with \(found)"
        case .badValue(let verb, let field): "\(verb): the value of \(field) is not allowed"
        }
    }
}
