// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import ZeroMQ

/// The frames of one message with the checks that both directions share: verb, text fields, payload.
struct FederationParts {
    let verb: String
    let fields: [String]
    let payload: Data

    init(verb: String, fields: [String] = [], payload: Data = Data()) {
        self.verb = verb
        self.fields = fields
        self.payload = payload
    }

    /// - Parameter parts: all frames in order, without a ROUTER's identity frame.
    init(_ parts: [Data], limit: Int) throws(FederationError) {
        guard parts.count >= 2, let last = parts.last else { throw .empty }
        guard parts.count <= FederationLimits.frames else { throw .tooManyFrames(parts.count) }
        var texts: [String] = []
        for part in parts.dropLast() {
            guard part.count <= FederationLimits.fieldBytes else { throw .fieldTooLong(part.count) }
            guard let text = String(validating: part, as: UTF8.self) else { throw .notText }
            texts.append(text)
        }
        guard let space = texts[0].firstIndex(of: " "), texts[0][..<space] == FederationLimits.protocolName else {
            throw .otherProtocol(String(texts[0].prefix(32)))
        }
        verb = String(texts[0][texts[0].index(after: space)...])
        guard last.count <= limit else { throw .payloadTooLarge(verb: verb, bytes: last.count, limit: limit) }
        fields = Array(texts.dropFirst())
        payload = last
    }

    var parts: [Data] {
        [Data("\(FederationLimits.protocolName) \(verb)".utf8)] + fields.map { Data($0.utf8) } + [payload]
    }

    // MARK: Writing

    static func document<Document: Encodable>(
        verb: String, fields: [String] = [], _ document: Document
    ) throws(FederationError) -> FederationParts {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return FederationParts(verb: verb, fields: fields, payload: try encoder.encode(document))
        } catch {
            // A value JSON cannot hold: a metric that is not a finite number.
            throw .badDocument(verb: verb, text: "cannot be written as JSON: \(describe(error))")
        }
    }

    // MARK: Reading

    func expect(fields count: Int) throws(FederationError) {
        guard fields.count == count else { throw .wrongFields(verb: verb, expected: count, found: fields.count) }
    }

    func expectNoPayload() throws(FederationError) {
        guard payload.isEmpty else { throw .unexpectedPayload(verb: verb, bytes: payload.count) }
    }

    /// A decimal integer from 0 to `limit`, in its only form: digits without sign or leading zero.
    func integer(_ index: Int, _ name: String, limit: Int) throws(FederationError) -> Int {
        let text = fields[index]
        guard let value = Int(text), (0...limit).contains(value), String(value) == text else {
            throw bad(name)
        }
        return value
    }

    func hash(_ index: Int, _ name: String) throws(FederationError) -> Hash {
        guard let hash = Hash(hex: fields[index]) else { throw bad(name) }
        return hash
    }

    func document<Document: Decodable>(
        _ type: Document.Type, limit: Int
    ) throws(FederationError) -> Document {
        guard payload.count <= limit else { throw .payloadTooLarge(verb: verb, bytes: payload.count, limit: limit) }
        do {
            return try JSONDecoder().decode(type, from: payload)
        } catch {
            throw .badDocument(verb: verb, text: Self.describe(error))
        }
    }

    func bad(_ field: String) -> FederationError { .badValue(verb: verb, field: field) }

    func check(_ condition: Bool, _ field: String) throws(FederationError) {
        if !condition { throw bad(field) }
    }

    /// Where in the document and what, without quoting the document.
    private static func describe(_ error: any Error) -> String {
        func path(_ keys: [any CodingKey]) -> String {
            keys.isEmpty ? "the document" : keys.map(\.stringValue).joined(separator: ".")
        }
        return switch error {
        case DecodingError.keyNotFound(let key, let context): "\(path(context.codingPath + [key])) is missing"
        case DecodingError.typeMismatch(_, let context): "\(path(context.codingPath)) has the wrong type"
        case DecodingError.valueNotFound(_, let context): "\(path(context.codingPath)) has no value"
        case DecodingError.dataCorrupted(let context): "\(path(context.codingPath)) cannot be read"
        case EncodingError.invalidValue(_, let context): "\(path(context.codingPath)) has no JSON form"
        default: "the document cannot be read"
        }
    }
}

extension [Data] {
    /// The same bytes as ZeroMQ frames.
    public var frames: [Frame] {
        map { data in data.withUnsafeBytes { Frame(copying: $0) } }
    }

    /// Copies of the frames' bytes.
    public init(_ frames: some Sequence<Frame>) {
        self = frames.map { frame in frame.withUnsafeBytes { Data($0) } }
    }
}
