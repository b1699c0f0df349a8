// SPDX-License-Identifier: GPL-3.0-or-later

/// Why a message between site and hub could not be written or read. `name` is stable: counters and `ToSite.error`.
public enum FederationError: Error, Equatable, CustomStringConvertible {
    case empty
    case tooManyFrames(Int)
    case fieldTooLong(Int)
    case notText
    case otherProtocol(String)
    case unknownVerb(String)
    case wrongFields(verb: String, expected: Int, found: Int)
    case badValue(verb: String, field: String)
    case payloadTooLarge(verb: String, bytes: Int, limit: Int)
    case unexpectedPayload(verb: String, bytes: Int)
    case badDocument(verb: String, text: String)

    public var name: String {
        switch self {
        case .empty: "empty"
        case .tooManyFrames: "too-many-frames"
        case .fieldTooLong: "field-too-long"
        case .notText: "not-text"
        case .otherProtocol: "other-protocol"
        case .unknownVerb: "unknown-verb"
        case .wrongFields: "wrong-fields"
        case .badValue: "bad-value"
        case .payloadTooLarge: "payload-too-large"
        case .unexpectedPayload: "unexpected-payload"
        case .badDocument: "bad-document"
        }
    }

    public var description: String {
        switch self {
        case .empty: "a message needs a verb frame and a payload frame"
        case .tooManyFrames(let count): "\(count) frames; no message has more than \(FederationLimits.frames)"
        case .fieldTooLong(let bytes):
            "a field of \(bytes) bytes; at most \(FederationLimits.fieldBytes) are allowed"
        case .notText: "a field that is not UTF-8"
        case .otherProtocol(let head):
            "the peer speaks “\(head)”, not \(FederationLimits.protocolName); site and hub must be of the same release"
        case .unknownVerb(let verb): "unknown verb “\(verb.prefix(32))”"
        case .wrongFields(let verb, let expected, let found): "\(verb) needs \(expected) fields and came with \(found)"
        case .badValue(let verb, let field): "\(verb): the value of \(field) is not allowed"
        case .payloadTooLarge(let verb, let bytes, let limit):
            "\(verb): a payload of \(bytes) bytes; at most \(limit) are allowed"
        case .unexpectedPayload(let verb, let bytes): "\(verb) has no payload and came with \(bytes) bytes"
        case .badDocument(let verb, let text): "\(verb): \(text)"
        }
    }
}
