// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// A verdict as the reader gave it.
struct Verdict: Sendable, Equatable {
    enum Kind: String, Sendable {
        case agree, disagree
        /// Takes back the reviewer's last verdict that stands; what was said before it counts again.
        case withdraw
    }

    /// The role of somebody whom no host has authenticated. No account has it.
    static let unauthenticated = "unauthenticated"

    var finding: String
    var kind: Kind
    var reviewer: String
    var role: String
    /// The version whose flag was shown; empty: the newest.
    var modelVersion: String

    /// - Parameter text: JSON with finding, verdict, reviewer, and optionally role and model_version.
    static func read(_ text: String, with json: JSON) -> Result<Verdict, ReviewError> {
        if let fault = JSONBounds.incoming.fault(in: text) { return .failure(.badRequest("The body \(fault).")) }
        guard json.isObject(text) else { return .failure(.badRequest("The body is not a JSON object.")) }
        var values: [String: String] = [:]
        for member in json.members(of: text) {
            guard member.type == "text", (1...256).contains(member.value.utf8.count) else {
                return .failure(.badRequest("“\(member.name.prefix(40))” must be text of 1 to 256 bytes."))
            }
            guard values.updateValue(member.value, forKey: member.name) == nil else {
                return .failure(.badRequest("“\(member.name.prefix(40))” is there twice."))
            }
        }
        for name in ["finding", "verdict", "reviewer"] where values[name] == nil {
            return .failure(.badRequest("“\(name)” is missing."))
        }
        guard let kind = Kind(rawValue: values["verdict"] ?? "") else {
            return .failure(.badRequest("“verdict” must be agree, disagree or withdraw."))
        }
        return .success(
            Verdict(
                finding: values["finding"] ?? "", kind: kind, reviewer: values["reviewer"] ?? "",
                role: values["role"] ?? "radiologist", modelVersion: values["model_version"] ?? ""))
    }
}
