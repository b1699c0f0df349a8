// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import SQLite
import Testing
import Wire

@testable import GatewayCore

@Suite struct RoutingTests {
    private func rules(_ text: String) throws -> (rules: RoutingRules, complaints: [String]) {
        var reader = SettingsReader("{\"Rules\": \(text)}", knownNames: ["Rules"], json: try JSON())
        let rules = RoutingRules(&reader)
        return (rules, reader.complaints)
    }

    private func header(modality: String = "CT", bodyPart: String = "HEAD", institution: String = "Spital Nord")
        -> DicomHeader
    {
        var data = DicomBytes()
        data.add(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.2")
        data.add(0x0008_0060, "CS", modality)
        data.add(0x0008_0080, "LO", institution)
        data.add(0x0018_0015, "CS", bodyPart)
        data.add(0x0020_000D, "UI", "1.2.3")
        return data.bytes.withUnsafeBytes { DicomHeader($0) }
    }

    @Test(arguments: [
        ("", "", true), ("", "a", false), ("*", "", true), ("*", "anything", true), ("CT", "ct", true),
        ("ct", "CTA", false), ("ct*", "CTA", true), ("*head*", "the HEAD there", true), ("*a*b*c", "xaxbxbc", true),
        ("*a*b*c", "xaxbxbcd", false), ("a*a", "a", false), ("KÖLN*", "köln Süd", true), ("**", "x", true),
    ])
    func `a star stands for any text, and case does not count`(_ pattern: String, _ text: String, _ expected: Bool) {
        #expect(Pattern(pattern).matches(text) == expected)
    }

    @Test func `a pattern made to be slow is not`() {
        let pattern = Pattern(String(repeating: "a*", count: 128) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 256)))
    }

    @Test func `the first rule that matches decides, and without one instances are handed over`() throws {
        let (rules, complaints) = try rules(
            """
            [{"Modality": "CT", "BodyPart": ["HEAD", "NECK*"], "HandOver": true},
             {"SopClass": "CTImageStorage", "CallingAet": ["SCANNER*"], "HandOver": false},
             {"Institution": "* Süd", "HandOver": false}]
            """)
        #expect(complaints == [])
        #expect(rules.decide(header(), callingAETitle: "SCANNER1").handsOver)
        #expect(!rules.decide(header(bodyPart: "CHEST"), callingAETitle: "scanner1").handsOver)
        #expect(rules.decide(header(bodyPart: "CHEST"), callingAETitle: "PACS").rule == "default")
        #expect(!rules.decide(header(bodyPart: "CHEST", institution: "Spital Süd"), callingAETitle: "").handsOver)
        #expect(rules.names.count == 4)
        #expect(!rules.decide(header(bodyPart: "CHEST"), callingAETitle: "SCANNER").handsOver)
    }

    @Test func `a rule without conditions is about everything`() throws {
        let (rules, _) = try rules(#"[{"HandOver": false}]"#)
        #expect(!rules.decide(header(), callingAETitle: "").handsOver)
    }

    @Test(arguments: [
        (#""CT""#, "is not a JSON object"), (#"{"Modality": "CT"}"#, "HandOver is missing"),
        (#"{"Colour": "x", "HandOver": true}"#, "“Colour”"),
        (#"{"Modality": 7, "HandOver": true}"#, "Modality must be"),
        (#"{"Modality": [], "HandOver": true}"#, "Modality must be"),
        (#"{"Modality": ["CT", 7], "HandOver": true}"#, "Modality must be"),
        (#"{"HandOver": "yes"}"#, "HandOver must be"), (#"{"SopClass": "CTImage", "HandOver": true}"#, "“CTImage”"),
    ])
    func `a bad rule is left out with one complaint that names it`(_ rule: String, _ words: String) throws {
        let (rules, complaints) = try rules(#"[\#(rule), {"Modality": "MR", "HandOver": false}]"#)
        #expect(complaints.count == 1)
        #expect(complaints.first?.hasPrefix("Rule 1 of the setting Rules is left out") == true)
        #expect(complaints.first?.contains(words) == true, "\(complaints)")
        #expect(!rules.decide(header(modality: "MR"), callingAETitle: "").handsOver)
        #expect(rules.decide(header(), callingAETitle: "").handsOver)
    }

    @Test func `rules that are no list are one complaint`() throws {
        let (rules, complaints) = try rules(#"{"Modality": "CT"}"#)
        #expect(rules.isEmpty)
        #expect(complaints.count == 1)
    }

    @Test func `what a rule routes away is not sent, leaves the outbox, and is counted`() throws {
        let place = try Place()
        let worker = try ScriptedWorker(place.endpoint)
        let host = ScriptedHost()
        let gateway = try OpenGateway(
            host, directory: place.directory, worker: place.endpoint,
            more: #", "Rules": [{"Modality": "MR", "HandOver": false}, {"BodyPart": "HEAD", "HandOver": true}]"#)
        var magnetic = DicomBytes()
        magnetic.add(0x0008_0060, "CS", "MR")
        magnetic.add(0x0020_000D, "UI", "1.2.9")
        #expect(host.store("away", magnetic.bytes, in: gateway) == 0)
        #expect(host.store("also-away", magnetic.bytes, in: gateway, withBytes: false) == 0)
        #expect(host.store("sent", DicomBytes.ordinary().bytes, in: gateway) == 0)
        let instance = try #require(try worker.nextInstance())
        #expect(instance.id == "sent")
        try worker.acknowledge(instance)
        #expect(
            try eventually {
                try worker.listen(); return gateway.number("outbox", "waiting") == 0
            })
        #expect(gateway.number("outcomes", "routed-away") == 2)
        #expect(gateway.number("outcomes", "scored") == 1)
        let counts = (gateway.status["rules"] as? [[String: Any]])?.map { $0["instances"] as? Int ?? -1 }
        #expect(counts == [0, 2, 1])
        let away = gateway.study("1.2.9").object["counts"] as? [String: Any]
        #expect(away?["routed_away"] as? Int == 2)
        #expect(gateway.number("in_flight", "held_bytes") == 0)
    }

    @Test func `a rule knows the sender of what was found in the log`() throws {
        let place = try Place()
        let host = ScriptedHost()
        _ = host.store("before", [1])
        let worker = try ScriptedWorker(place.endpoint)
        // The hook is never called for it, as after a crash.
        let gateway = try OpenGateway(
            host, directory: place.directory, worker: place.endpoint,
            more:
                #", "Backfill": true, "Rules": [{"CallingAet": "sender-of-before", "HandOver": true}, {"HandOver": false}]"#
        )
        let instance = try #require(try worker.nextInstance())
        #expect(instance.id == "before")
        _ = gateway
    }
}
