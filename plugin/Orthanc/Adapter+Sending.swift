// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// C-STORE to Orthanc's modalities.
extension Adapter {
    /// A job that has not ended after so long is cancelled: Orthanc's own limit for one association is 10 s.
    private static let longestJobMilliseconds = 120_000

    /// Sends one instance and waits for its end, on Gantry's sending thread. As a job of Orthanc's, because a REST call that
    /// waits for a node which does not answer could not be ended when Orthanc stops.
    func forward(_ sopInstanceUID: String, to modality: String) throws(SendFailure) {
        guard let json = try? JSON() else { throw .notNow("memory is exhausted") }
        guard let names = orthanc.get("/modalities").text else { throw .notNow("Orthanc does not list its modalities") }
        guard json.elements(names, at: "$").contains(modality) else { throw .unknownTarget }
        guard let found = orthanc.post("/tools/lookup", sopInstanceUID).text else {
            throw .notNow("Orthanc does not look up instances now")
        }
        guard let instance = Adapter.identifier(ofType: "Instance", in: found, json) else { throw .gone }
        let answer = orthanc.post(
            "/modalities/\(modality)/store", "{\"Resources\":[\"\(instance)\"],\"Asynchronous\":true}")
        guard let started = answer.text, let job = json.value(started, at: "$.ID") else {
            throw .notNow("Orthanc does not start the C-STORE")
        }
        try wait(for: job, json)
    }

    private func wait(for job: String, _ json: JSON) throws(SendFailure) {
        var pauseMilliseconds = 10
        var waitedMilliseconds = 0
        while waitedMilliseconds < Adapter.longestJobMilliseconds, !isClosing.load(ordering: .relaxed) {
            usleep(UInt32(clamping: pauseMilliseconds &* 1_000))
            waitedMilliseconds &+= pauseMilliseconds
            pauseMilliseconds = min(pauseMilliseconds &* 2, 200)
            guard let state = orthanc.get("/jobs/\(job)").text else { throw .notNow("Orthanc has lost the C-STORE") }
            switch json.value(state, at: "$.State") {
            case "Success": return
            case "Failure":
                // ErrorDetails may quote what the other node said; the description is Orthanc's own.
                throw .notNow(json.value(state, at: "$.ErrorDescription") ?? "the C-STORE failed")
            default: continue
            }
        }
        _ = orthanc.post("/jobs/\(job)/cancel", "{}")
        throw .notNow("the C-STORE did not end in time")
    }
}
