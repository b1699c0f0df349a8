// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import SQLite

/// The flag where Orthanc's own users see it: in the study's metadata, and as a label where Orthanc has labels.
extension Adapter {
    private static let urgencies = ["none", "routine", "urgent", "critical"]

    /// Runs on Gantry's archivist thread.
    ///
    /// - Returns: false when Orthanc should be tried again later.
    func show(study: String, studyInstanceUID: String) -> Bool {
        guard settings.writesMetadata || settings.writesLabels, let json = try? JSON() else { return true }
        let id = study.isEmpty ? orthancStudy(studyInstanceUID, json) : study
        // The study was deleted meanwhile.
        guard let id else { return true }
        guard let document = unsafe text({ unsafe gantry_study_json(gateway, studyInstanceUID, $0) }).text else {
            return false
        }
        if settings.writesMetadata, let summary = Adapter.summary(of: document, json) {
            if case .failed = orthanc.put("/studies/\(id)/metadata/\(settings.metadataKey)", summary) { return false }
        }
        if settings.writesLabels, orthanc.hasLabels {
            return setLabel(json.value(document, at: "$.urgency") ?? "none", of: id, json)
        }
        return true
    }

    /// The most urgent flag in a few words, without what the study itself says.
    private static func summary(of document: String, _ json: JSON) -> String? {
        json.select(
            """
            SELECT json_object('urgency', json_extract(checked_document(?1), '$.urgency'),
                'state', json_extract(flag, '$.state'),
                'findings', (SELECT json_group_array(json_object('finding', json_extract(one, '$.finding'),
                    'title', json_extract(one, '$.title'), 'probability', json_extract(one, '$.probability'),
                    'positive', checked_json(iif(json_extract(one, '$.positive'), 'true', 'false'))))
                    FROM (SELECT checked_document(value) AS one FROM json_each(flag, '$.findings'))),
                'model', json_extract(flag, '$.model.name'), 'model_version', json_extract(flag, '$.model.version'),
                'revision', json_extract(flag, '$.revision'), 'flagged_at_ms', json_extract(flag, '$.flagged_at_ms'))
            FROM (SELECT checked_document(json_extract(checked_document(?1), '$.flags[0]')) AS flag)
            WHERE flag IS NOT NULL
            """, document
        ).first
    }

    private func setLabel(_ urgency: String, of id: String, _ json: JSON) -> Bool {
        guard let text = orthanc.get("/studies/\(id)/labels").text else { return false }
        let present = json.elements(text, at: "$")
        for other in Adapter.urgencies where other != urgency && present.contains("gantry-\(other)") {
            _ = orthanc.delete("/studies/\(id)/labels/gantry-\(other)")
        }
        guard Adapter.urgencies.contains(urgency), !present.contains("gantry-\(urgency)") else { return true }
        if case .failed = orthanc.put("/studies/\(id)/labels/gantry-\(urgency)", "") { return false }
        return true
    }

    /// Orthanc's id of the study with this UID; nil when Orthanc does not have it.
    func orthancStudy(_ studyInstanceUID: String, _ json: JSON) -> String? {
        guard let found = orthanc.post("/tools/lookup", studyInstanceUID).text else { return nil }
        return Adapter.identifier(ofType: "Study", in: found, json)
    }

    /// Orthanc's id of the first resource of a type in an answer of `/tools/lookup`.
    static func identifier(ofType type: String, in answer: String, _ json: JSON) -> String? {
        json.select(
            """
            SELECT json_extract(one, '$.ID') FROM (SELECT checked_document(value) AS one FROM json_each(checked_document(?1)))
            WHERE json_extract(one, '$.Type') = ?2
            """, answer, type
        ).first
    }

    /// Calls a getter of gantry.h and takes its text.
    func text(_ getter: (UnsafeMutablePointer<gantry_text>) -> Int32) -> (code: Int32, text: String?) {
        var answer = unsafe gantry_text()
        unsafe answer.struct_size = MemoryLayout<gantry_text>.size
        let code = unsafe getter(&answer)
        defer { unsafe gantry_text_free(&answer) }
        guard let bytes = unsafe answer.bytes else { return (code, nil) }
        return unsafe (code, String(cString: bytes))
    }
}
