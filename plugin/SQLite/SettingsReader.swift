// SPDX-License-Identifier: GPL-3.0-or-later

/// Reads settings from a JSON object. Whatever is wrong becomes one sentence in `complaints`, and the default is used.
public struct SettingsReader {
    /// Unknown settings that get a sentence each.
    private static let mostUnknown = 20

    private var found: [String: (type: String, value: String)] = [:]
    private let json: JSON
    /// One sentence for each setting that is unknown or bad: name, value, what was expected, what is used instead.
    public private(set) var complaints: [String] = []

    /// - Parameters:
    ///   - text: a JSON object; empty text stands for an empty object.
    ///   - names: every setting that exists, whoever reads it.
    public init(_ text: String, knownNames names: [String], json: JSON) {
        self.json = json
        guard !text.isEmpty else { return }
        if let fault = JSONBounds.incoming.fault(in: text) {
            complaints.append("The text of the settings \(fault): it is not a JSON object; every default is used.")
            return
        }
        guard json.isObject(text) else {
            complaints.append("The settings are not a JSON object; every default is used.")
            return
        }
        var unknown = 0
        for member in json.members(of: text) {
            if names.contains(member.name) {
                found[member.name] = (member.type, member.value)
                continue
            }
            unknown &+= 1
            if unknown <= SettingsReader.mostUnknown {
                complaints.append(
                    "Unknown setting \(quoted(member.name)) = \(quoted(member.value)) is ignored. "
                        + "Settings are: \(names.sorted().joined(separator: ", ")).")
            }
        }
        if unknown > SettingsReader.mostUnknown {
            complaints.append("\(unknown &- SettingsReader.mostUnknown) more unknown settings are ignored.")
        }
    }

    public mutating func text(_ name: String, default standard: String, maximumBytes: Int = 1_024) -> String {
        guard let setting = found[name] else { return standard }
        guard setting.type == "text", !setting.value.isEmpty, setting.value.utf8.count <= maximumBytes else {
            return complain(name, expected: "text of 1 to \(maximumBytes) bytes", use: standard)
        }
        return setting.value
    }

    public mutating func flag(_ name: String, default standard: Bool) -> Bool {
        guard let setting = found[name] else { return standard }
        guard setting.type == "true" || setting.type == "false" else {
            return complain(name, expected: "true or false", use: standard)
        }
        return setting.type == "true"
    }

    public mutating func integer(_ name: String, default standard: Int64, in range: ClosedRange<Int64>) -> Int64 {
        guard let setting = found[name] else { return standard }
        guard setting.type == "integer", let value = Int64(setting.value), range.contains(value) else {
            return complain(
                name, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)", use: standard)
        }
        return value
    }

    /// A list of texts, each of which `accepts`; one bad element spoils the list. Empty only where the default is.
    public mutating func list(
        _ name: String, default standard: [String], expected: String, accepts: (String) -> Bool
    ) -> [String] {
        guard let setting = found[name] else { return standard }
        let elements = setting.type == "array" ? json.elements(setting.value, at: "$") : []
        let isEmptyList = setting.type == "array" && elements.isEmpty && standard.isEmpty
        guard isEmptyList || !elements.isEmpty, elements.allSatisfy(accepts) else {
            return complain(name, expected: expected, use: standard)
        }
        return elements
    }

    /// The elements of a list as JSON text, for a caller that reads them itself and says with `reject` what is wrong.
    public mutating func elements(_ name: String, expected: String) -> [String] {
        guard let setting = found[name] else { return [] }
        guard setting.type == "array" else { return complain(name, expected: expected, use: []) }
        return json.select("SELECT json_quote(value) FROM json_each(checked_document(?1))", setting.value)
    }

    /// Adds a caller's own complaint.
    public mutating func reject(_ sentence: String) { complaints.append(sentence) }

    /// Texts by name, each of which `accepts`: an object, or one text alone under the empty name. Empty when there is
    /// none; one bad text spoils all.
    public mutating func texts(
        _ name: String, expected: String, accepts: (String) -> Bool
    ) -> [String: String] {
        guard let setting = found[name] else { return [:] }
        var texts: [String: String] = [:]
        var isGood = setting.type == "text" || setting.type == "object"
        if setting.type == "text" { texts[""] = setting.value }
        if setting.type == "object" {
            for member in json.members(of: setting.value) {
                texts[member.name] = member.value
                if member.type != "text" { isGood = false }
            }
        }
        guard isGood, texts.values.allSatisfy(accepts) else {
            return complain(name, expected: expected, use: [:], standard: "none")
        }
        return texts
    }

    private mutating func complain<Setting>(_ name: String, expected: String, use standard: Setting) -> Setting {
        complain(name, expected: expected, use: standard, standard: "\(standard)")
    }

    private mutating func complain<Setting>(
        _ name: String, expected: String, use setting: Setting, standard: String
    ) -> Setting {
        let value = found[name]?.value ?? ""
        complaints.append(
            "Setting \(name) = \(quoted(value)) is not allowed: expected \(expected). Using the default, \(standard).")
        return setting
    }

    private func quoted(_ text: String) -> String {
        let oneLine = text.unicodeScalars.map { $0.value < 0x20 ? " " : String($0) }.joined()
        return "“\(oneLine.count > 60 ? oneLine.prefix(60) + "…" : oneLine)”"
    }
}
