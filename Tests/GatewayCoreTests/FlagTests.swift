// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import Testing
import Wire

@testable import GatewayCore

@Suite final class FlagTests: Connected {
    func flag(_ study: String, _ revision: Int, urgency: String, probability: Double, state: String = "final") throws {
        try worker.say(
            .flag(flag: "f-\(study)", revision: revision, studyInstanceUID: study),
            payload: flagJSON(study: study, urgency: urgency, probability: probability, state: state))
        let acknowledged = try worker.next {
            if case .flagAck("f-\(study)", revision, _, _, _) = $0 { true } else { false }
        }
        #expect(acknowledged != nil)
    }

    @Test func `a flag is in the worklist when it is acknowledged, and the host is told`() throws {
        try flag("1.2.3", 1, urgency: "critical", probability: 0.93)
        let row = try #require(gateway.worklist.first)
        #expect(row["study"] as? String == "1.2.3")
        #expect(row["urgency"] as? String == "critical")
        #expect((row["patient"] as? [String: Any])?["name"] as? String == "Doe^J")
        #expect((row["model"] as? [String: Any])?["version"] as? String == "v1")
        #expect(eventually { host.state.withLock { $0.flags } == ["1.2.3 study-of-i1 critical"] })
        #expect(gateway.study("study-of-i1").object["study"] as? String == "1.2.3")
    }

    @Test func `a higher revision replaces a lower one, and a late lower one is acknowledged and forgotten`() throws {
        try flag("1.2.3", 1, urgency: "critical", probability: 0.8, state: "preliminary")
        try flag("1.2.3", 3, urgency: "none", probability: 0.2)
        try flag("1.2.3", 2, urgency: "urgent", probability: 0.7)
        #expect(gateway.worklist.count == 1)
        #expect(gateway.worklist.first?["revision"] as? Int == 3)
        #expect(gateway.worklist.first?["urgency"] as? String == "none")
    }

    @Test func `the worklist is ordered by urgency, then probability`() throws {
        try flag("1.1", 1, urgency: "routine", probability: 0.99)
        try flag("1.2", 1, urgency: "critical", probability: 0.6)
        try flag("1.3", 1, urgency: "none", probability: 0.1)
        try flag("1.4", 1, urgency: "critical", probability: 0.9)
        #expect(gateway.worklist.map { $0["study"] as? String } == ["1.4", "1.2", "1.1", "1.3"])
    }

    @Test func `a host that cannot show a flag is asked again, also after a restart`() throws {
        host.state.withLock { $0.refuseFlags = true }
        try flag("1.2.3", 1, urgency: "critical", probability: 0.93)
        gateway.close()
        host.state.withLock { $0.refuseFlags = false }
        let again = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(eventually { host.state.withLock { $0.flags.count } == 1 })
        again.close()
    }

    @Test func `a flag that the host refuses for ever does not hold up the others`() throws {
        host.state.withLock { $0.refusedStudies = ["1.2.1"] }
        try flag("1.2.1", 1, urgency: "critical", probability: 0.93)
        try flag("1.2.2", 1, urgency: "routine", probability: 0.6)
        #expect(eventually { host.state.withLock { $0.flags } == ["1.2.2 study-of-i1 routine"] })
    }

    @Test func `a review says what the flag said and is sent until it is acknowledged`() throws {
        try flag("1.2.3", 1, urgency: "critical", probability: 0.93)
        let answer = gateway.review("1.2.3", #"{"finding":"haemorrhage","verdict":"disagree","reviewer":"Dr A"}"#)
        #expect(answer.code == Code.ok)
        let id = try #require(answer.object["review"] as? String)
        for _ in 0..<2 {
            let sent = try #require(try worker.next { $0 == .review(id: id) })
            let review = try #require(try JSONSerialization.jsonObject(with: Data(sent.payload)) as? [String: Any])
            #expect(review["study"] as? String == "1.2.3")
            #expect(review["verdict"] as? String == "disagree")
            #expect(review["positive"] as? Bool == true)
            #expect(review["model_version"] as? String == "v1")
            #expect(review["role"] as? String == "radiologist")
        }
        try worker.say(.reviewAck(review: id, accepted: true, reason: "", receipt: worker.nextReceipt()))
        #expect(eventually { gateway.number("reviews", "accepted") == 1 })
        #expect((gateway.worklist.first?["reviews"] as? [[String: Any]])?.first?["state"] as? String == "accepted")
    }

    @Test func `a review that makes no sense is refused with a sentence`() throws {
        try flag("1.2.3", 1, urgency: "critical", probability: 0.93)
        func refusal(_ study: String, _ body: String) -> (Int32, String) {
            let answer = gateway.review(study, body)
            return (answer.code, answer.object["text"] as? String ?? "")
        }
        #expect(refusal("9.9", #"{"finding":"haemorrhage","verdict":"agree","reviewer":"A"}"#).0 == Code.notFound)
        for (body, word) in [
            ("[]", "object"), ("{", "not JSON"),
            (#"{"finding":"haemorrhage","verdict":"agree","reviewer":"A","reviewer":"B"}"#, "twice"),
            (#"{"verdict":"agree","reviewer":"A"}"#, "finding"),
            (#"{"finding":"haemorrhage","verdict":"perhaps","reviewer":"A"}"#, "verdict"),
            (#"{"finding":"haemorrhage","verdict":"agree"}"#, "reviewer"),
            (#"{"finding":"haemorrhage","verdict":"agree","reviewer":7}"#, "reviewer"),
            (#"{"finding":"tumour","verdict":"agree","reviewer":"A"}"#, "no flag"),
            (#"{"finding":"haemorrhage","verdict":"agree","reviewer":"A","model_version":"v0"}"#, "model version"),
        ] {
            let (code, text) = refusal("1.2.3", body)
            #expect(code == Code.badArgument)
            #expect(text.contains(word), "\(body): \(text)")
        }
        #expect(gateway.number("reviews", "pending") == 0)
    }

    @Test func `a study tells what became of each instance that was not scored`() throws {
        for (name, outcome, reason) in [
            ("a", ToGateway.Outcome.scored, ""), ("b", .ignored, "modality SR"), ("c", .setAside, "truncated"),
        ] {
            #expect(host.store(name, [1], in: gateway) == 0)
            let instance = try #require(try worker.nextInstance())
            try worker.acknowledge(instance, study: "1.2.3", outcome: outcome, reason: reason)
        }
        #expect(eventually { gateway.number("outbox", "waiting") == 0 })
        let study = gateway.study("1.2.3").object
        #expect(
            study["counts"] as? [String: Int] == [
                "scored": 1, "ignored": 1, "set_aside": 1, "labelled": 0, "unlabelled": 0, "routed_away": 0,
            ])
        #expect((study["set_aside"] as? [[String: Any]])?.first?["reason"] as? String == "truncated")
        #expect((study["ignored"] as? [[String: Any]])?.first?["gateway_instance"] as? String == "b")
        #expect(gateway.study("1.2.4").code == Code.notFound)
    }
}
