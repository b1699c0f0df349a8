// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import SQLite

#if canImport(Glibc)
    import Glibc
#endif

/// The routes below `/gantry`.
extension Adapter {
    func route(_ request: Request) -> Response {
        let path = request.path
        switch path.first {
        case "status" where path.count == 1:
            return request.method == .get
                ? unsafe answer { unsafe gantry_status_json(gateway, $0) } : onlyAllowed("GET")
        case "worklist" where path.count == 1:
            return request.method == .get ? worklist(request) : onlyAllowed("GET")
        case "studies" where path.count == 2:
            return request.method == .get ? study(path[1]) : onlyAllowed("GET")
        case "studies" where path.count == 3 && path[2] == "priors":
            return request.method == .get ? priors(path[1]) : onlyAllowed("GET")
        case "studies" where path.count == 3 && path[2] == "key-image":
            return request.method == .get ? keyImage(path[1], request) : onlyAllowed("GET")
        case "studies" where path.count == 3 && path[2] == "review":
            return request.method == .post ? review(path[1], request) : onlyAllowed("POST")
        case "account" where path.count == 1:
            return request.method == .get ? account(request) : onlyAllowed("GET")
        case "metrics" where path.count == 1:
            return request.method == .get ? metrics() : onlyAllowed("GET")
        case nil, "", "app", "gantry":
            return request.method == .get ? page(path) : onlyAllowed("GET")
        case let name? where path.count == 1 && Adapter.pageFiles[name] != nil:
            return request.method == .get ? page(path) : onlyAllowed("GET")
        default:
            return failure(
                404, "There is no such route.",
                hint: "Routes: status, worklist, studies/{id}, studies/{id}/review, studies/{id}/priors, "
                    + "studies/{id}/key-image, account, metrics, app/.")
        }
    }

    // MARK: Routes

    private func worklist(_ request: Request) -> Response {
        var limit: UInt32 = 0
        if let text = request.query["limit"] {
            guard let asked = UInt32(text), (1...10_000).contains(asked) else {
                return failure(400, "“limit” is not allowed.", hint: "Give a whole number from 1 to 10000.")
            }
            limit = asked
        }
        // The number first: what is read after it is at least as new. The minute, because flags grow too old.
        var version: UInt64 = 0
        unsafe gantry_worklist_version(gateway, &version)
        let tag = "\"\(version)-\(limit)-\(time(nil) / 60)\""
        // A proxy that compresses makes a weak tag of it.
        if let known = request.headers["if-none-match"], known.hasSuffix(tag) {
            return Response(
                status: 304, headers: [("ETag", tag), ("Cache-Control", "no-store")] + paceHeader(request), body: [])
        }
        var response = unsafe answer { unsafe gantry_worklist_json(gateway, limit, $0) }
        if response.status == 200 { response.headers += [("ETag", tag)] + paceHeader(request) }
        return response
    }

    /// A page says how often it asks (`?every=`, in milliseconds), and is told how often it may.
    private func paceHeader(_ request: Request) -> [(name: String, value: String)] {
        guard let every = request.query["every"].flatMap({ Int64($0) }) else { return [] }
        var clock = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &clock)
        let now = Int64(clock.tv_sec) &* 1_000 &+ Int64(clock.tv_nsec) / 1_000_000
        return [("Gantry-Ask-Every-Milliseconds", "\(pace.next(every: every, now: now))")]
    }

    private func study(_ name: String) -> Response {
        guard Adapter.canBeStudy(name) else { return unknownStudy() }
        let known = unsafe text { unsafe gantry_study_json(gateway, name, $0) }
        guard known.code == Int32(truncatingIfNeeded: GANTRY_NOT_FOUND.rawValue) else { return response(known) }
        guard let found = lookUp(name) else { return unknownStudy() }
        let byUID = unsafe text { unsafe gantry_study_json(gateway, found.uid, $0) }
        guard byUID.code == Int32(truncatingIfNeeded: GANTRY_NOT_FOUND.rawValue) else { return response(byUID) }
        // Orthanc has the study, and no worker has said anything about it yet.
        return .json(
            """
            {"study":"\(found.uid)","gateway_study":"\(found.id)","urgency":null,\
            "counts":{"scored":0,"ignored":0,"set_aside":0,"routed_away":0},"flags":[],"reviews":[],"set_aside":[],"ignored":[]}
            """)
    }

    private func priors(_ name: String) -> Response {
        guard Adapter.canBeStudy(name) else { return unknownStudy() }
        let known = unsafe text { unsafe gantry_priors_json(gateway, name, $0) }
        guard known.code == Int32(truncatingIfNeeded: GANTRY_NOT_FOUND.rawValue) else { return response(known) }
        guard let found = lookUp(name) else { return unknownStudy() }
        let byUID = unsafe text { unsafe gantry_priors_json(gateway, found.uid, $0) }
        guard byUID.code == Int32(truncatingIfNeeded: GANTRY_NOT_FOUND.rawValue) else { return response(byUID) }
        return .json("{\"study\":\"\(found.uid)\",\"studies\":[]}")
    }

    /// The study in Orthanc itself.
    ///
    /// - Parameter name: Orthanc's id or the StudyInstanceUID.
    func lookUp(_ name: String) -> (id: String, uid: String)? {
        guard let json = try? JSON(), let id = name.contains("-") ? name : orthancStudy(name, json),
            let text = orthanc.get("/studies/\(id)").text,
            let uid = json.value(text, at: "$.MainDicomTags.StudyInstanceUID"), Adapter.canBeStudy(uid)
        else { return nil }
        return (id, uid)
    }

    static func canBeStudy(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    // MARK: Answers

    private func answer(_ getter: (UnsafeMutablePointer<gantry_text>) -> Int32) -> Response {
        unsafe response(text(getter))
    }

    func response(_ result: (code: Int32, text: String?)) -> Response {
        switch result.code {
        case Int32(truncatingIfNeeded: GANTRY_OK.rawValue): return .json(result.text ?? "{}")
        case Int32(truncatingIfNeeded: GANTRY_BAD_ARGUMENT.rawValue):
            return failure(400, result.text ?? "The request is not allowed.", hint: Adapter.reviewHint)
        case Int32(truncatingIfNeeded: GANTRY_NOT_FOUND.rawValue):
            return failure(404, result.text ?? "There is no such study.", hint: Adapter.studyHint)
        default:
            return failure(
                503, "Gantry cannot answer now.",
                hint: "/gantry/status and Orthanc's log say why; it goes on trying by itself.")
        }
    }

    private static let studyHint = "Give Orthanc's id of a study or its StudyInstanceUID."
    private static let reviewHint =
        #"Send {"finding": "…", "verdict": "agree", "disagree" or "withdraw"}; the worklist names the findings."#

    func unknownStudy() -> Response {
        failure(404, "Neither Orthanc nor Gantry knows this study.", hint: Adapter.studyHint)
    }

    private func onlyAllowed(_ method: String) -> Response {
        var response = failure(405, "Use \(method).", hint: "")
        response.allowedMethod = method
        return response
    }

    /// - Parameters:
    ///   - sentence: what is wrong.
    ///   - hint: what to do next.
    func failure(_ status: UInt16, _ sentence: String, hint: String) -> Response {
        let json = try? JSON()
        let quoted = [sentence, hint].map { json?.quote($0) ?? "\"\"" }
        var response = Response.json("{\"error\":\(quoted[0]),\"hint\":\(quoted[1])}")
        response.status = status
        return response
    }
}
