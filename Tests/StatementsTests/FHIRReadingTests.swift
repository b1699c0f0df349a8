// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@testable import Statements

@Suite struct FHIRReadingTests {
    private let map = CodeMap.standard.adding([
        Finding(
            name: "bleed", title: "Bleed", code: .init(scheme: "SCT", value: "1386000", meaning: ""), threshold: 0.5,
            urgency: .critical)
    ])
    private static let bleed = #"{"coding": [{"system": "http://snomed.info/sct", "code": "1386000"}]}"#
    private static let acsn =
        #"{"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}, "value": "A1"}"#
    private static let study =
        #"{"resourceType": "ImagingStudy", "id": "s1", "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}]}"#

    private func read(_ contents: String..., name: String = "a.json") -> FHIRReading.Outcome {
        var reading = FHIRReading(map: map)
        for content in contents { reading.add(Data(content.utf8), file: name) }
        return reading.finish()
    }

    private func observation(_ rest: String, status: String = "final") -> String {
        #"{"resourceType": "Observation", "id": "o1", "status": "\#(status)", "identifier": [\#(Self.acsn)], \#(rest)}"#
    }

    @Test(arguments: [
        (#""valueBoolean": true"#, true), (#""valueBoolean": false"#, false),
        (#""valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "2667000"}]}"#, false),
        (
            #""interpretation": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "POS"}]}]"#,
            true
        ),
    ])
    func `An observation of a finding is answered by its value or interpretation`(value: String, isPresent: Bool) {
        let outcome = read(observation(#""code": \#(Self.bleed), \#(value)"#))
        #expect(outcome.statements.map(\.findings) == [["bleed": isPresent]])
        #expect(outcome.statements.first?.accessionNumbers == ["A1"])
        #expect(outcome.statements.first?.resource == "Observation/o1")
    }

    @Test(arguments: [50, 250, 510, 100_000])
    func `Resources nested too deep are refused`(depth: Int) {
        let contained = #"{"resourceType": "Observation", "contained": ["#
        let entry = #"{"resourceType": "Bundle", "entry": [{"resource": "#
        let contents = [
            String(repeating: contained, count: depth / 2) + String(repeating: "]}", count: depth / 2),
            String(repeating: entry, count: depth / 3) + "{}" + String(repeating: "}]}", count: depth / 3),
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth),
        ]
        for content in contents {
            let outcome = read(content)
            #expect(outcome.statements.isEmpty && outcome.refusals.count == 1)
        }
    }

    @Test func `A finding may be the value, and may be negated`() {
        let code =
            #""code": {"coding": [{"system": "http://loinc.org", "code": "59776-5"}]}, "valueCodeableConcept": \#(Self.bleed)"#
        #expect(read(observation(code)).statements.map(\.findings) == [["bleed": true]])
        let negated =
            code
            + #", "interpretation": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "NEG"}]}]"#
        #expect(read(observation(negated)).statements.map(\.findings) == [["bleed": false]])
    }

    @Test func `Components answer too, and an open question is refused`() {
        let outcome = read(observation(#""component": [{"code": \#(Self.bleed), "valueBoolean": true}]"#))
        #expect(outcome.statements.map(\.findings) == [["bleed": true]])
        let open = read(observation(#""code": \#(Self.bleed)"#))
        #expect(open.statements.isEmpty && open.refusals.count == 1)
        #expect(open.refusals[0].description.contains("a.json, Observation/o1"))
    }

    @Test func `A report's conclusion is about the imaging study that it names, also in another file`() {
        let report =
            #"{"resourceType": "DiagnosticReport", "id": "r1", "status": "amended", "imagingStudy": [{"reference": "ImagingStudy/s1"}], "conclusionCode": [\#(Self.bleed)], "issued": "2026-01-02T03:04:05Z", "resultsInterpreter": [{"display": "Dr. One"}]}"#
        let outcome = read(report, Self.study)
        #expect(outcome.refusals.isEmpty)
        #expect(
            outcome.statements == [
                FHIRStatement(
                    resource: "DiagnosticReport/r1", file: "a.json", studies: ["1.2.3"], accessionNumbers: [],
                    findings: ["bleed": true], isWithdrawn: false, reader: "Dr. One", at: 1_767_323_045_000)
            ])
    }

    @Test func `An observation without a study is about its report's, in a Bundle by full URL`() {
        let bundle = #"""
            {"resourceType": "Bundle", "entry": [
              {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Observation", "id": "o9", "status": "final",
                "code": \#(Self.bleed), "valueBoolean": true}},
              {"fullUrl": "https://ris/fhir/DiagnosticReport/7", "resource": {"resourceType": "DiagnosticReport",
                "status": "final", "result": [{"reference": "urn:uuid:1"}],
                "contained": [{"resourceType": "ServiceRequest", "id": "q", "identifier": [\#(Self.acsn)]}],
                "basedOn": [{"reference": "#q"}]}}]}
            """#
        let outcome = read(bundle)
        #expect(outcome.statements.map(\.resource) == ["Observation/o9"])
        #expect(outcome.statements.map(\.accessionNumbers) == [["A1"]])
        #expect(outcome.unrelated == 1)
    }

    @Test func `What is not final does not count, and what was an error is withdrawn`() {
        let value = #""code": \#(Self.bleed), "valueBoolean": true"#
        for status in ["registered", "preliminary"] {
            let outcome = read(observation(value, status: status))
            #expect(outcome.statements.isEmpty && outcome.unfinished == 1 && outcome.refusals.isEmpty)
        }
        #expect(read(observation(value, status: "entered-in-error")).statements.map(\.isWithdrawn) == [true])
        #expect(read(observation(value, status: "done")).refusals.count == 1)
    }

    @Test func `Lines that cannot be read are refused by number, the others are taken`() {
        let good = observation(#""code": \#(Self.bleed), "valueBoolean": true"#)
        let lines =
            "{\n\n\(good)\n[]\n{\"resourceType\": \"Patient\", \"identifier\": 5}\n{\"id\": \"x\"}\n"
            + "{\"resourceType\": \"Observation\", \"status\": 5}\n"
        let outcome = read(lines, name: "a.ndjson")
        #expect(outcome.statements.count == 1)
        #expect(outcome.refusals.map(\.place) == ["line 1", "line 4", "line 6", "line 7"])
        #expect(outcome.refusals[3].reason.contains("status"))
    }

    @Test func `A statement without a study or with a broken time is refused`() {
        let none =
            #"{"resourceType": "Observation", "id": "o1", "status": "final", "code": \#(Self.bleed), "valueBoolean": true}"#
        #expect(read(none).refusals.first?.reason.contains("no study") == true)
        let time = observation(#""code": \#(Self.bleed), "valueBoolean": true, "issued": "soon""#)
        #expect(read(time).refusals.first?.reason.contains("soon") == true)
    }
}
