// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import SQLite

/// The key image of a flag as a picture that browsers show.
extension Adapter {
    /// Patients' pictures stay out of the browser's disk.
    private static let pictureHeaders = [("Cache-Control", "no-store")]

    /// - Parameter name: Orthanc's id or the StudyInstanceUID. The query's `flag` says which flag, where the study has
    ///   several; without it the newest key image is shown.
    func keyImage(_ name: String, _ request: Request) -> Response {
        guard Adapter.canBeStudy(name) else { return unknownStudy() }
        let known = unsafe text { unsafe gantry_study_json(gateway, name, $0) }
        guard known.code == Int32(truncatingIfNeeded: GANTRY_OK.rawValue), let document = known.text else {
            return response(known)
        }
        guard let json = try? JSON() else {
            return response((Int32(truncatingIfNeeded: GANTRY_NO_RESOURCES.rawValue), nil))
        }
        let object = json.select(
            """
            SELECT json_extract(one, '$.object')
            FROM (SELECT checked_document(value) AS one FROM json_each(checked_document(?1), '$.results'))
            WHERE json_extract(one, '$.kind') = 'key-image' AND json_extract(one, '$.state') = 'stored'
            AND (?2 = '' OR json_extract(one, '$.flag') = ?2) ORDER BY json_extract(one, '$.at_ms') DESC LIMIT 1
            """, document, request.query["flag"] ?? ""
        ).first
        guard let object else {
            return failure(
                404, "There is no key image of this flag yet.",
                hint: "It comes some seconds after the final flag, when the worker makes results; /gantry/studies/{id} "
                    + "lists them.")
        }
        guard let found = orthanc.post("/tools/lookup", object).text,
            let instance = Adapter.identifier(ofType: "Instance", in: found, json),
            let picture = orthanc.picture("/instances/\(instance)/preview")
        else {
            return failure(
                404, "Orthanc does not show the key image.", hint: "It was deleted there, or Orthanc's log says why.")
        }
        return Response(type: "image/png", headers: Adapter.pictureHeaders, body: picture)
    }
}
