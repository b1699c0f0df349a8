// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

extension Manifest {
    /// Where the manifest lies in a package.
    public static let path = "configs/gantry.json"

    /// Reads and checks the bytes of `configs/gantry.json`.
    ///
    /// - Throws: `ModelPackageError` that names the key.
    public static func decode(_ data: Data) throws(ModelPackageError) -> Manifest {
        let manifest = try Self.decode(Manifest.self, from: data, file: path)
        try manifest.validate()
        return manifest
    }

    /// The bytes of `configs/gantry.json`, indented, with sorted keys.
    public func encoded() throws -> Data { try Self.json(self) }

    static func json(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value) + Data("\n".utf8)
    }

    static func decode<Value: Decodable>(
        _: Value.Type, from data: Data, file: String
    ) throws(ModelPackageError) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: data)
        } catch let DecodingError.keyNotFound(key, context) {
            throw ModelPackageError(
                file: file, key: keyPath(context.codingPath + [key]), problem: "this key is missing", fix: "add it")
        } catch let DecodingError.typeMismatch(type, context) {
            throw ModelPackageError(
                file: file, key: keyPath(context.codingPath), problem: "the value has the wrong type",
                fix: "write \(word(for: type))")
        } catch let DecodingError.valueNotFound(type, context) {
            throw ModelPackageError(
                file: file, key: keyPath(context.codingPath), problem: "the value is null",
                fix: "write \(word(for: type))")
        } catch let DecodingError.dataCorrupted(context) {
            if context.codingPath.isEmpty {
                let detail = context.underlyingError.map { " (\($0))" } ?? ""
                throw ModelPackageError(
                    file: file, problem: "not valid JSON: \(context.debugDescription)\(detail)",
                    fix: "check the commas, quotes and brackets")
            }
            throw ModelPackageError(
                file: file, key: keyPath(context.codingPath), problem: context.debugDescription,
                fix: "correct the value")
        } catch {
            throw ModelPackageError(file: file, problem: "\(error)", fix: "check the file")
        }
    }

    private static func keyPath(_ path: [any CodingKey]) -> String {
        path.reduce("") { text, key in
            if let index = key.intValue { return text + "[\(index)]" }
            return text.isEmpty ? key.stringValue : text + "." + key.stringValue
        }
    }

    private static func word(for type: Any.Type) -> String {
        switch type {
        case is String.Type: "a text in quotes"
        case is Int.Type: "a whole number"
        case is Double.Type, is Float.Type: "a number"
        case is Bool.Type: "true or false"
        default:
            "\(type)".hasPrefix("Dictionary") ? "an object {…}" : "a list […] or object {…} as in the documentation"
        }
    }
}
