// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

extension CodeMap {
    /// Why a file of codes cannot be used.
    public struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
        public var file: String
        public var reason: String

        public var description: String { "the code map \(file): \(reason)" }
    }

    /// Reads a file: a JSON object with any of `key_objects`, `codes`, `presence` (lists of entries with `scheme` and
    /// `value`) and `authoritative_roles` (a list of texts). An entry takes the place of the built-in one for its code.
    ///
    /// - `key_objects`: `finding` and `present`, or `"usable": false`, or `"ignore": true`.
    /// - `codes`: `finding` and, when the code says that it is not there, `"present": false`.
    /// - `presence`: `present`.
    public init(file: URL) throws(FileError) {
        let content: Content
        do {
            content = try JSONDecoder().decode(Content.self, from: try Data(contentsOf: file))
        } catch let error as DecodingError {
            throw FileError(file: file.path, reason: Self.problem(error))
        } catch {
            throw FileError(file: file.path, reason: "it cannot be read: \(error.localizedDescription)")
        }
        do {
            self = try Self.standard.replaced(by: content)
        } catch let error as Problem {
            throw FileError(file: file.path, reason: error.text)
        } catch {
            throw FileError(file: file.path, reason: "\(error)")
        }
    }

    private struct Problem: Error {
        var text: String
    }

    private struct Entry: Decodable {
        var scheme: String
        var value: String
        var meaning: String?
        var finding: String?
        var present: Bool?
        var usable: Bool?
        var ignore: Bool?

        var key: CodeKey { CodeKey(scheme: scheme, value: value) }
    }

    private struct Content: Decodable {
        var keyObjects: [Entry]?
        var codes: [Entry]?
        var presence: [Entry]?
        var authoritativeRoles: [String]?

        enum CodingKeys: String, CodingKey, CaseIterable {
            case codes, presence
            case keyObjects = "key_objects"
            case authoritativeRoles = "authoritative_roles"
        }

        struct AnyKey: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let known = CodingKeys.allCases.map(\.rawValue).sorted()
            let keys = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue).sorted()
            if let unknown = keys.first(where: { !known.contains($0) }) {
                throw DecodingError.dataCorrupted(
                    .init(
                        codingPath: [],
                        debugDescription: "“\(unknown.prefix(40))” is not known; known: "
                            + known.joined(separator: ", ")))
            }
            let values = try decoder.container(keyedBy: CodingKeys.self)
            keyObjects = try values.decodeIfPresent([Entry].self, forKey: .keyObjects)
            codes = try values.decodeIfPresent([Entry].self, forKey: .codes)
            presence = try values.decodeIfPresent([Entry].self, forKey: .presence)
            authoritativeRoles = try values.decodeIfPresent([String].self, forKey: .authoritativeRoles)
        }
    }

    private func replaced(by content: Content) throws -> CodeMap {
        var map = self
        for (index, entry) in (content.keyObjects ?? []).enumerated() {
            map.titles[entry.key] =
                switch (entry.finding, entry.present, entry.usable, entry.ignore) {
                case (let finding?, let present?, nil, nil): .finding(finding, isPresent: present)
                case (nil, nil, false?, nil): .unusable
                case (nil, nil, nil, true?): .nothing
                default:
                    throw Problem(
                        text: "key_objects, entry \(index + 1): give finding and present, or \"usable\": false, or "
                            + "\"ignore\": true")
                }
        }
        for (index, entry) in (content.codes ?? []).enumerated() {
            guard let finding = entry.finding, entry.usable == nil, entry.ignore == nil else {
                throw Problem(text: "codes, entry \(index + 1): give finding, and present when it is false")
            }
            map.codes[entry.key] = Meaning(finding: finding, isPresent: entry.present ?? true)
        }
        for (index, entry) in (content.presence ?? []).enumerated() {
            guard let present = entry.present, entry.finding == nil else {
                throw Problem(text: "presence, entry \(index + 1): give present, true or false, and no finding")
            }
            map.presence[entry.key] = present
        }
        if let roles = content.authoritativeRoles { map.authoritativeRoles = Set(roles.map { $0.lowercased() }) }
        return map
    }

    private static func problem(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.map { key in key.intValue.map { "entry \($0 + 1)" } ?? key.stringValue }.joined(separator: ", ")
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "\(place(context.codingPath)): “\(key.stringValue)” is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return context.codingPath.isEmpty
                ? "it is not a JSON object" : "\(place(context.codingPath)) is of the wrong kind"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty ? context.debugDescription : "\(place(context.codingPath)) is not allowed"
        @unknown default: return "it is not readable"
        }
    }
}
