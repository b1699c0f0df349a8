// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

extension ReportDocument {
    /// What the document says.
    ///
    /// A key object selection speaks by its title. A report speaks by its codes: a finding, impression or conclusion whose
    /// value is a finding's code says that it is there, unless a presence beside it says otherwise; an item whose name is
    /// a finding's code is a question that its value answers. What stands under history, request and earlier findings
    /// is not about this study. Free text is not interpreted.
    ///
    /// - Parameters:
    ///   - zone: where the document was written, when it does not say.
    ///   - receivedAt: Unix milliseconds UTC; no statement is younger.
    /// - Returns: without findings when no person stands behind them: what another device found is not what the
    ///   department says.
    public func statement(
        _ kind: DocumentKind, by map: CodeMap, zone: TimeZone, receivedAt: Int64
    ) -> DocumentStatement {
        let observer = observer
        let isVerified = verification == "VERIFIED"
        var statement = DocumentStatement(
            kind: kind, findings: [:], rejection: nil,
            reader: [isVerified ? verifier : "", observer.person, author, verifier].first { !$0.isEmpty } ?? "",
            role: observer.role, isAuthoritative: map.isAuthoritative(role: observer.role),
            at: min(receivedAt, time(isVerified: isVerified, zone: zone) ?? receivedAt))
        switch kind {
        case .keyObjects:
            guard let title = items.first?.name else { break }
            switch map.titles[CodeKey(title)] ?? .nothing {
            case .finding(let finding, let isPresent): statement.findings[finding] = isPresent
            case .unusable: statement.rejection = title.meaning.isEmpty ? title.value : title.meaning
            case .nothing: break
            }
        case .report:
            // A signature makes a report authoritative, whatever the role of who dictated it.
            statement.isAuthoritative = isVerified && completion != "PARTIAL" && preliminary != "PRELIMINARY"
            statement.findings = findings(by: map)
        }
        if observer.isDevice, !isVerified { statement.findings = [:] }
        return statement
    }

    // MARK: Findings

    /// Names under which a code is something that was found (PS3.16 CID 7002).
    private static let findingNames: Set<CodeKey> = [
        CodeKey(scheme: "DCM", value: "121071"),  // Finding
        CodeKey(scheme: "DCM", value: "121073"),  // Impression
        CodeKey(scheme: "DCM", value: "121077"),  // Conclusion
        CodeKey(scheme: "DCM", value: "111023"),  // Differential Diagnosis/Impression
        CodeKey(scheme: "DCM", value: "111059"),  // Single Image Finding
        CodeKey(scheme: "SCT", value: "439401001"),  // Diagnosis
    ]

    /// Names of an item that says whether the finding beside it is there.
    private static let presenceNames: Set<CodeKey> = [
        CodeKey(scheme: "DCM", value: "121052"),  // Presence of property
        CodeKey(scheme: "SCT", value: "705057003"),  // Presence
        CodeKey(scheme: "SCT", value: "408729009"),  // Finding context
    ]

    /// Headings under which stands what is not about these images (PS3.16 CID 7001).
    private static let elsewhere: Set<CodeKey> = [
        CodeKey(scheme: "DCM", value: "121060"),  // History
        CodeKey(scheme: "DCM", value: "121062"),  // Request
        CodeKey(scheme: "DCM", value: "121066"),  // Prior Procedure Descriptions
        CodeKey(scheme: "DCM", value: "121068"),  // Previous Findings
        CodeKey(scheme: "DCM", value: "121069"),  // Previous Finding
        CodeKey(scheme: "DCM", value: "121109"),  // Indications for Procedure
        CodeKey(scheme: "DCM", value: "121110"),  // Patient Presentation
        CodeKey(scheme: "DCM", value: "121118"),  // Patient Characteristics
    ]

    private func findings(by map: CodeMap) -> [String: Bool] {
        var findings: [String: Bool] = [:]
        func note(_ meaning: CodeMap.Meaning, _ isThere: Bool) {
            let isPresent = isThere == meaning.isPresent
            // There somewhere and absent elsewhere is there.
            findings[meaning.finding] = findings[meaning.finding] ?? false || isPresent
        }
        let presences = presences(by: map)
        var isElsewhere = [Bool](repeating: false, count: items.count)
        for (index, item) in items.enumerated() {
            let parent = parent(of: index)
            let isHeading = item.name.map { Self.elsewhere.contains(CodeKey($0)) } ?? false
            isElsewhere[index] = isHeading || parent.map { isElsewhere[$0] } ?? false
            guard item.type == "CODE", !isElsewhere[index], let name = item.name else { continue }
            if let meaning = map.meaning(name) {
                if let answer = map.presence(item.code) { note(meaning, answer) }
            } else if let meaning = map.meaning(item.code), Self.findingNames.contains(CodeKey(name)) {
                let beside = parent.flatMap { items[$0].type == "CONTAINER" ? presences.inContainer[$0] : nil }
                note(meaning, presences.ofItem[index] ?? beside ?? true)
            }
        }
        return findings
    }

    /// What presence items say about the item that they belong to, or about the finding of their container when there is
    /// one alone.
    private func presences(by map: CodeMap) -> (ofItem: [Int: Bool], inContainer: [Int: Bool]) {
        var ofItem: [Int: Bool] = [:]
        var inContainer: [Int: Bool] = [:]
        var findingsInContainer: [Int: Int] = [:]
        for (index, item) in items.enumerated() where item.type == "CODE" {
            guard let parent = parent(of: index), let name = item.name else { continue }
            if Self.presenceNames.contains(CodeKey(name)), let presence = map.presence(item.code) {
                if items[parent].type == "CODE" { ofItem[parent] = presence } else { inContainer[parent] = presence }
            } else if Self.findingNames.contains(CodeKey(name)) {
                findingsInContainer[parent, default: 0] += 1
            }
        }
        return (ofItem, inContainer.filter { findingsInContainer[$0.key] == 1 })
    }

    /// Nil for the root, and where the index makes no sense.
    private func parent(of index: Int) -> Int? {
        items[index].parent.flatMap { (0..<index).contains($0) ? $0 : nil }
    }

    // MARK: Author and time

    /// The observer context (PS3.16 TID 1002).
    private var observer: (person: String, role: String, isDevice: Bool) {
        var person = ""
        var role = ""
        var types: Set<String> = []
        for item in items {
            guard let name = item.name, name.scheme == "DCM" else { continue }
            switch name.value {
            case "121005": types.insert(item.code?.value ?? "")
            case "121008" where person.isEmpty: person = item.person ?? ""
            case "121011" where role.isEmpty: role = (item.code?.meaning ?? "").lowercased()
            default: break
            }
        }
        let hasPerson = !person.isEmpty || !author.isEmpty || types.contains("121006")
        return (person, role, types.contains("121007") && !hasPerson)
    }

    private func time(isVerified: Bool, zone: TimeZone) -> Int64? {
        let zone = TimeZone(dicom: self.zone) ?? zone
        if isVerified, let verified = Int64(dicomDateTime: verifiedAt, zone: zone) { return verified }
        return Int64(dicomDateTime: date + time, zone: zone)
    }
}
