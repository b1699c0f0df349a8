// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@testable import Statements

@Suite struct CodeMapTests {
    private func map(_ json: String) throws -> CodeMap {
        let file = FileManager.default.temporaryDirectory.appending(path: "codes-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(json.utf8).write(to: file)
        return try CodeMap(file: file)
    }

    @Test func `A file adds to the built-in codes and takes their place`() throws {
        let map = try map(
            #"""
            {"key_objects": [
                {"scheme": "DCM", "value": "113008", "meaning": "For Peer Review", "finding": "bleed", "present": true},
                {"scheme": "DCM", "value": "113038", "ignore": true}],
             "codes": [{"scheme": "99HOSP", "value": "NOBLEED", "finding": "bleed", "present": false},
                {"scheme": "http://snomed.info/sct", "value": "1386000", "finding": "bleed"}],
             "presence": [{"scheme": "99HOSP", "value": "J", "present": true}],
             "authoritative_roles": ["Chief"]}
            """#)
        #expect(map.titles[CodeKey(scheme: "DCM", value: "113008")] == .finding("bleed", isPresent: true))
        #expect(map.titles[CodeKey(scheme: "DCM", value: "113038")] == .nothing)
        #expect(map.titles[CodeKey(scheme: "DCM", value: "113001")] == .unusable)
        #expect(map.codes[CodeKey(scheme: "99HOSP", value: "NOBLEED")]?.isPresent == false)
        #expect(map.codes[CodeKey(scheme: "SCT", value: "1386000")]?.finding == "bleed")
        #expect(map.presence[CodeKey(scheme: "99HOSP", value: "J")] == true)
        #expect(map.presence[CodeKey(scheme: "SCT", value: "2667000")] == false)
        #expect(map.isAuthoritative(role: "chief") && !map.isAuthoritative(role: "radiologist"))
    }

    @Test(arguments: [
        ("{", "JSON"), ("[]", "object"), (#"{"titles": []}"#, "“titles”"),
        (#"{"codes": [{"scheme": "A", "value": "1"}]}"#, "codes, entry 1"),
        (#"{"codes": [{"scheme": "A", "finding": "f"}]}"#, "“value”"),
        (#"{"codes": [{"scheme": "A", "value": 1, "finding": "f"}]}"#, "value"),
        (#"{"key_objects": [{"scheme": "A", "value": "1", "finding": "f"}]}"#, "key_objects, entry 1"),
        (#"{"key_objects": [{"scheme": "A", "value": "1", "usable": true}]}"#, "key_objects, entry 1"),
        (#"{"presence": [{"scheme": "A", "value": "1"}]}"#, "presence, entry 1"),
    ])
    func `A file that cannot be used is an error that names the place`(json: String, place: String) {
        #expect { try map(json) } throws: { "\($0)".contains(place) && "\($0)".contains("codes-") }
    }

    @Test func `A finding's own code needs no entry, and an entry for it comes first`() throws {
        let finding = Finding(
            name: "bleed", title: "Bleed", code: .init(scheme: "SCT", value: "1", meaning: ""), threshold: 0.5,
            urgency: .critical)
        #expect(CodeMap.standard.adding([finding]).codes[CodeKey(scheme: "SCT", value: "1")]?.finding == "bleed")
        let map = try map(#"{"codes": [{"scheme": "SCT", "value": "1", "finding": "other"}]}"#)
        #expect(map.adding([finding]).codes[CodeKey(scheme: "SCT", value: "1")]?.finding == "other")
    }
}
