// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import Testing
import Wire

@testable import GatewayCore

/// What a worklist page asks beside the list itself.
@Suite final class WorklistTests: Connected {
    func flag(_ study: String, patient: String = "1", probability: Double = 0.9, version: String = "v1") throws {
        let name = "f-\(study)-\(version)"
        let json = flagJSON(study: study, urgency: "critical", probability: probability, version: version)
            .replacingOccurrences(of: #""id":"1""#, with: #""id":"\#(patient)""#)
        try worker.say(.flag(flag: name, revision: 1, studyInstanceUID: study), payload: json)
        let acknowledged = try worker.next { if case .flagAck(name, _, _, _, _) = $0 { true } else { false } }
        #expect(acknowledged != nil)
    }

    func say(_ verdict: String, by reader: String = "A") -> (code: Int32, object: [String: Any]) {
        gateway.review("1.2.3", #"{"finding":"haemorrhage","verdict":"\#(verdict)","reviewer":"\#(reader)"}"#)
    }

    var version: UInt64 {
        var number: UInt64 = 0
        #expect(gantry_worklist_version(gateway.handle, &number) == Code.ok)
        return number
    }

    /// The number once what follows a flag by itself, such as telling the host, has happened.
    func settledVersion() -> UInt64 {
        #expect(eventually { !host.state.withLock { $0.flags.isEmpty } })
        return version
    }

    @Test func `the worklist's number is another one after a flag or a verdict, and the same after asking`() throws {
        let empty = version
        try flag("1.2.3")
        let flagged = settledVersion()
        #expect(flagged != empty)
        _ = gateway.worklist
        _ = gateway.study("1.2.3")
        #expect(version == flagged)
        #expect(say("agree").code == Code.ok)
        #expect(version != flagged)
        #expect(gantry_worklist_version(gateway.handle, nil) == Code.badArgument)
    }

    @Test func `a withdrawal takes back the reader's own last verdict that stands, and there must be one`() throws {
        try flag("1.2.3")
        #expect(say("withdraw").code == Code.badArgument)
        let first = try #require(say("agree").object["review"] as? String)
        let second = try #require(say("disagree").object["review"] as? String)
        #expect(say("withdraw", by: "B").code == Code.badArgument)
        #expect(say("withdraw").object["withdraws"] as? String == second)
        #expect(say("withdraw").object["withdraws"] as? String == first)
        let nothing = say("withdraw")
        #expect(nothing.code == Code.badArgument)
        #expect((nothing.object["text"] as? String)?.contains("nothing about this finding that stands") == true)
        let third = try #require(say("agree").object["review"] as? String)
        #expect(say("withdraw").object["withdraws"] as? String == third)

        // The worker hears all of it in the order in which it was said, again what it has not acknowledged in time.
        var heard: [String] = []
        var known: Set<String> = []
        while heard.count < 6 {
            let sent = try #require(try worker.next { if case .review = $0 { true } else { false } })
            let review = try #require(try JSONSerialization.jsonObject(with: Data(sent.payload)) as? [String: Any])
            let verdict = try #require(review["verdict"] as? String)
            let id = try #require(review["review"] as? String)
            if known.insert(id).inserted { heard.append(verdict) }
            try worker.say(.reviewAck(review: id, accepted: true, reason: "", receipt: worker.nextReceipt()))
        }
        #expect(heard == ["agree", "disagree", "withdraw", "withdraw", "agree", "withdraw"])
    }

    @Test func `who is not authenticated takes nothing back of the account of the same name`() throws {
        try flag("1.2.3")
        func say(_ verdict: String, _ role: String) -> Int32 {
            gateway.review(
                "1.2.3", #"{"finding":"haemorrhage","verdict":"\#(verdict)","reviewer":"A","role":"\#(role)"}"#
            ).code
        }
        #expect(say("agree", "radiologist") == Code.ok)
        #expect(say("withdraw", "unauthenticated") == Code.badArgument)
        #expect(say("disagree", "unauthenticated") == Code.ok)
        #expect(say("withdraw", "technologist") == Code.ok)
        #expect(say("withdraw", "technologist") == Code.badArgument)
        #expect(say("withdraw", "unauthenticated") == Code.ok)
    }

    @Test func `a verdict that the worker refused cannot be withdrawn`() throws {
        try flag("1.2.3")
        let id = try #require(say("agree").object["review"] as? String)
        #expect(try worker.next { $0 == .review(id: id) } != nil)
        try worker.say(.reviewAck(review: id, accepted: false, reason: "no", receipt: worker.nextReceipt()))
        #expect(eventually { gateway.number("reviews", "refused") == 1 })
        #expect(say("withdraw").code == Code.badArgument)
    }

    @Test func `priors are the other flagged studies of the same patient, one row each, newest first`() throws {
        try flag("1.2.1", patient: "P1")
        try flag("1.2.1", patient: "P1", probability: 0.95, version: "v2")
        try flag("1.2.2", patient: "P2")
        try flag("1.2.3", patient: "P1", probability: 0.1)
        try flag("1.2.4", patient: "")
        try flag("1.2.5", patient: "")
        func priors(_ study: String) -> [[String: Any]] {
            gateway.json { gantry_priors_json($0, study, $1) }.object["studies"] as? [[String: Any]] ?? []
        }
        #expect(priors("1.2.1").map { $0["study"] as? String } == ["1.2.3"])
        #expect(priors("1.2.3").map { $0["study"] as? String } == ["1.2.1"])
        #expect((priors("1.2.3").first?["flags"] as? [Any])?.count == 2)
        #expect(priors("1.2.3").first?["probability"] as? Double == 0.95)
        #expect(priors("1.2.2").isEmpty)
        // No PatientID is nobody's.
        #expect(priors("1.2.4").isEmpty)
        #expect(gateway.json { gantry_priors_json($0, "9.9", $1) }.code == Code.notFound)
        let counts = Dictionary(
            uniqueKeysWithValues: gateway.worklist.map { ($0["study"] as? String ?? "", $0["priors"] as? Int ?? -1) })
        #expect(counts == ["1.2.1": 1, "1.2.2": 0, "1.2.3": 1, "1.2.4": 0, "1.2.5": 0])
    }

    @Test func `a row names the key image of its flag once the host has it`() throws {
        try flag("1.2.3")
        #expect(gateway.worklist.first?["key_image"] is NSNull)
        try worker.say(
            .result(object: "2.25.9", kind: "key-image", flag: "f-1.2.3-v1", studyInstanceUID: "1.2.3"), payload: "file"
        )
        #expect(eventually { gateway.worklist.first?["key_image"] as? String == "2.25.9" })
    }
}
