// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

extension FHIRResource {
    /// By finding: whether the resource says that it is there.
    func findings(by map: CodeMap) -> [String: Bool] {
        var findings: [String: Bool] = [:]
        func note(_ meaning: CodeMap.Meaning, _ isThere: Bool) {
            findings[meaning.finding] = findings[meaning.finding] ?? false || isThere == meaning.isPresent
        }
        for concept in conclusionCode ?? [] {
            if let meaning = concept.meaning(by: map) { note(meaning, true) }
        }
        for answer in answers {
            let presence =
                answer.valueBoolean ?? answer.valueCodeableConcept?.presence(by: map)
                ?? answer.interpretation?.lazy.compactMap { $0.presence(by: map) }.first
            if let meaning = answer.code?.meaning(by: map) {
                if let presence { note(meaning, presence) }
            } else if let meaning = answer.valueCodeableConcept?.meaning(by: map) {
                // The value names the finding; the interpretation may say that it was looked for and is not there.
                note(meaning, presence ?? true)
            }
        }
        return findings
    }

    /// Whether a question about a finding was asked, answered or not.
    func isAboutFinding(of map: CodeMap) -> Bool {
        answers.contains { $0.code?.meaning(by: map) != nil }
    }

    /// The Observation itself and its components, as questions and answers.
    private var answers: [Component] {
        guard resourceType == "Observation" else { return [] }
        let own = Component(
            code: code, valueBoolean: valueBoolean, valueCodeableConcept: valueCodeableConcept,
            interpretation: interpretation)
        return [own] + (component ?? [])
    }
}

extension FHIRResource.Concept {
    /// The first coding that is a finding's.
    func meaning(by map: CodeMap) -> CodeMap.Meaning? {
        keys.lazy.compactMap { map.codes[$0] }.first
    }

    func presence(by map: CodeMap) -> Bool? {
        keys.lazy.compactMap { map.presence[$0] }.first
    }

    private var keys: [CodeKey] {
        (coding ?? []).compactMap { coding in
            coding.code.map { CodeKey(scheme: coding.system ?? "", value: $0) }
        }
    }
}
