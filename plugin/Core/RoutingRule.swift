// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// One of the administrator's rules: which instances it is about, and whether they are handed over.
struct RoutingRule: Sendable, Equatable {
    /// What a rule can ask, in the words of the settings.
    enum Condition: String, CaseIterable {
        case modality = "Modality"
        case bodyPart = "BodyPart"
        case sopClass = "SopClass"
        case callingAETitle = "CallingAet"
        case institution = "Institution"
    }

    /// Why a rule cannot be used: a sentence.
    struct Mistake: Error, Equatable {
        var sentence: String
    }

    /// The rule as JSON, as the administrator wrote it.
    let text: String
    let handsOver: Bool
    private let conditions: [Condition: [Pattern]]

    /// - Parameter text: an object with any of the conditions, each one text or a list of texts, and `HandOver`.
    init(_ text: String, json: JSON) throws(Mistake) {
        self.text = text
        guard json.isObject(text) else { throw Mistake(sentence: "it is not a JSON object") }
        var handsOver: Bool?
        var conditions: [Condition: [Pattern]] = [:]
        for member in json.members(of: text) {
            if member.name == "HandOver" {
                guard member.type == "true" || member.type == "false" else {
                    throw Mistake(sentence: "HandOver must be true or false")
                }
                handsOver = member.type == "true"
                continue
            }
            guard let condition = Condition(rawValue: member.name) else {
                let known = (Condition.allCases.map(\.rawValue) + ["HandOver"]).joined(separator: ", ")
                throw Mistake(sentence: "it has “\(member.name.prefix(40))”; known are \(known)")
            }
            let values = member.type == "array" ? json.elements(member.value, at: "$") : [member.value]
            let isText =
                member.type == "text" || (member.type == "array" && json.areTexts(member.value) && !values.isEmpty)
            guard isText, values.allSatisfy({ (1...256).contains($0.utf8.count) }) else {
                throw Mistake(sentence: "\(member.name) must be text, or a list of texts, of 1 to 256 bytes each")
            }
            if condition == .sopClass, let unknown = values.first(where: { !StorageClass.isKnown($0) }) {
                throw Mistake(
                    sentence: "SopClass “\(unknown.prefix(80))” is neither a UID nor a name such as CTImageStorage")
            }
            conditions[condition] = values.map(Pattern.init)
        }
        guard let handsOver else { throw Mistake(sentence: "HandOver is missing") }
        self.handsOver = handsOver
        self.conditions = conditions
    }

    var asksCallingAETitle: Bool { conditions[.callingAETitle] != nil }

    /// Whether each condition holds. What an instance does not say counts as empty.
    func matches(_ header: DicomHeader, callingAETitle: String) -> Bool {
        conditions.allSatisfy { condition, patterns in
            let values: [String] =
                switch condition {
                case .modality: [header.modality ?? ""]
                case .bodyPart: [header.bodyPartExamined ?? ""]
                case .sopClass: StorageClass.names(of: header.sopClassUID ?? "")
                case .callingAETitle: [callingAETitle]
                case .institution: [header.institutionName ?? ""]
                }
            return patterns.contains { pattern in values.contains { pattern.matches($0) } }
        }
    }
}
