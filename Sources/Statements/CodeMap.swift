// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// What the codes in a department's documents say about the findings that models look for.
public struct CodeMap: Sendable, Equatable {
    /// What the title of a key object selection (PS3.16 TID 2010, CID 7010) says about the study of its images.
    public enum Title: Sendable, Equatable {
        case finding(String, isPresent: Bool)
        /// Nothing is learned from these images.
        case unusable
        case nothing
    }

    /// A code that says that a finding is there, or that it is not.
    public struct Meaning: Sendable, Equatable {
        public var finding: String
        public var isPresent: Bool
    }

    public internal(set) var titles: [CodeKey: Title]
    public internal(set) var codes: [CodeKey: Meaning]
    /// Answers to whether something is there.
    public internal(set) var presence: [CodeKey: Bool]
    /// In lower case. What others say counts while nobody of these has said anything.
    public internal(set) var authoritativeRoles: Set<String>

    /// Without a file, and without findings.
    public static let standard = CodeMap(
        titles: [
            CodeKey(scheme: "DCM", value: "113001"): .unusable,  // Rejected for Quality Reasons
            CodeKey(scheme: "DCM", value: "113037"): .unusable,  // Rejected for Patient Safety Reasons
            CodeKey(scheme: "DCM", value: "113038"): .unusable,  // Incorrect Modality Worklist Entry
        ], codes: [:],
        presence: [
            // PS3.16 CID 240, 241 (Present-Absent) and 230 (Yes-No), also in their SNOMED RT form.
            CodeKey(scheme: "DCM", value: "121053"): true, CodeKey(scheme: "DCM", value: "121054"): false,
            CodeKey(scheme: "SCT", value: "52101004"): true, CodeKey(scheme: "SCT", value: "2667000"): false,
            CodeKey(scheme: "SCT", value: "272519000"): false,
            CodeKey(scheme: "SRT", value: "G-A203"): true, CodeKey(scheme: "SRT", value: "R-4089B"): false,
            CodeKey(scheme: "SCT", value: "373066001"): true, CodeKey(scheme: "SCT", value: "373067005"): false,
            CodeKey(scheme: "SRT", value: "R-0038D"): true, CodeKey(scheme: "SRT", value: "R-00339"): false,
            // Positive, Negative; Known present, Known absent; Detected, Not detected.
            CodeKey(scheme: "SCT", value: "10828004"): true, CodeKey(scheme: "SCT", value: "260385009"): false,
            CodeKey(scheme: "SCT", value: "410515003"): true, CodeKey(scheme: "SCT", value: "410516002"): false,
            CodeKey(scheme: "SCT", value: "260373001"): true, CodeKey(scheme: "SCT", value: "260415000"): false,
            // FHIR: ObservationInterpretation, Yes/no indicator.
            CodeKey(scheme: "INTERPRETATION", value: "POS"): true,
            CodeKey(scheme: "INTERPRETATION", value: "NEG"): false,
            CodeKey(scheme: "INTERPRETATION", value: "DET"): true,
            CodeKey(scheme: "INTERPRETATION", value: "ND"): false,
            CodeKey(scheme: "YESNO", value: "Y"): true, CodeKey(scheme: "YESNO", value: "N"): false,
        ],
        authoritativeRoles: ["radiologist", "physician", "consultant", "attending [consultant]"])

    /// The map with the findings' own codes beside what it says itself.
    public func adding(_ findings: [Finding]) -> CodeMap {
        var map = self
        for finding in findings {
            guard let code = finding.code else { continue }
            let key = CodeKey(code)
            if map.codes[key] == nil { map.codes[key] = Meaning(finding: finding.name, isPresent: true) }
        }
        return map
    }

    func meaning(_ code: Finding.Code?) -> Meaning? {
        code.flatMap { codes[CodeKey($0)] }
    }

    func presence(_ code: Finding.Code?) -> Bool? {
        code.flatMap { presence[CodeKey($0)] }
    }

    /// The role that a gateway gives to those whom nobody has authenticated. It is never authoritative, whatever the map
    /// says.
    public static let unauthenticatedRole = "unauthenticated"

    /// Whether somebody in this role has the last word; a role that is not given is no objection.
    public func isAuthoritative(role: String) -> Bool {
        let role = role.lowercased()
        return role.isEmpty || (role != Self.unauthenticatedRole && authoritativeRoles.contains(role))
    }
}
