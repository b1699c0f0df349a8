// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import SQLite
import Testing
import Wire

@testable import GatewayCore

/// Nothing that comes as JSON, from wherever, is parsed before it was checked. The fuzz targets do it on a small stack.
@Suite struct JSONBoundsTests {
    private static let deep = String(repeating: "[", count: 1_168) + String(repeating: "]", count: 1_168)

    @Test(arguments: [
        "{}", "[]", "null", " true ", "-0", "1.5e-3", "\"\"", #""\u00e9\n""#, "0.0E+9",
        #"{"a":[1,{"b":"ü😀"}],"c":null}"#,
    ]) func `what is JSON passes`(text: String) { #expect(JSONBounds.incoming.fault(in: text) == nil) }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "{a:1}", "'a'", "01", "1.", ".5", "+1", "1e", "nul", "truex", "[1 2]",
        "\"\u{1}\"", #""\x""#, #""\u12g4""#, "{\"a\"}", "[}", "{]", "1 2", "NaN", "Infinity", "// c\n1", "\"a",
        "{\"a\":}", "[,1]", "\u{FEFF}1",
    ]) func `what is none does not`(text: String) {
        guard case .malformed = JSONBounds.incoming.fault(in: text) else {
            Issue.record("\(text) passed")
            return
        }
    }

    @Test func `depth, length and number of values have bounds`() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(JSONBounds.incoming.fault(in: nested(32)) == nil)
        #expect(JSONBounds.incoming.fault(in: nested(33)) == .tooDeep(depth: 32))
        #expect(JSONBounds.document.fault(in: nested(64)) == nil)
        #expect(JSONBounds.document.fault(in: nested(65)) == .tooDeep(depth: 64))
        let wide = "[" + Array(repeating: "1", count: 100_000).joined(separator: ",") + "]"
        #expect(JSONBounds.incoming.fault(in: wide) == .tooManyValues(values: 100_000))
        let long = "\"" + String(repeating: "x", count: 1 << 20) + "\""
        #expect(JSONBounds.incoming.fault(in: long) == .tooLong(bytes: 1 << 20))
    }

    @Test func `SQLite parses nothing that was not checked`() throws {
        let database = try Connection(path: ":memory:")
        for sql in [
            "SELECT json_extract(?1, '$')", "SELECT json_valid(?1)", "SELECT * FROM json_each(?1)", "SELECT ?1 -> '$'",
            "SELECT json_set(?1, '$.a', 1)", "SELECT json(?1)", "SELECT * FROM json_tree(?1)",
        ] {
            #expect(throws: SQLiteError.self) { try database.rows(sql, [.text(Self.deep)]) { _ in } }
        }
        #expect(try database.first("SELECT checked_json(?)", .text(Self.deep)) { $0.text(0) } == .some(nil))
        #expect(try database.first("SELECT json_extract(checked_json(?), '$.a')", #"{"a":7}"#) { $0.integer(0) } == 7)
        // JSON stays JSON in what is built of it.
        #expect(try database.first("SELECT json_array(checked_json('{}'), '{}')") { $0.text(0) } == #"[{},"{}"]"#)
    }

    @Test func `deep text in settings, verdicts, flags and model status ends nothing`() throws {
        let place = try Place()
        let worker = try ScriptedWorker(place.endpoint)
        let host = ScriptedHost()
        let gateway = try OpenGateway(
            host, directory: place.directory, worker: place.endpoint, more: #", "Rules": \#(Self.deep)"#)
        #expect(host.warnings.contains { $0.contains("nested deeper than 32") })
        gateway.close()
        let again = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(
            try eventually {
                try worker.listen()
                return again.status.description.contains("scripted")
            })
        // A text of an element may be JSON itself; it is not parsed as such.
        let sound = flagJSON(study: "1.2.3", urgency: "urgent", probability: 0.9)
        let inText = sound.replacingOccurrences(of: #""findings":["#, with: #""findings":["\#(Self.deep)","#)
        for (revision, json) in [(1, Self.deep), (2, #"{"findings":\#(Self.deep)}"#), (3, inText)] {
            try worker.say(.flag(flag: "bad", revision: revision, studyInstanceUID: "1.2.3"), payload: json)
            #expect(try worker.next { if case .error("bad-flag", _) = $0 { true } else { false } } != nil)
        }
        try worker.say(.modelStatus, payload: Self.deep)
        try worker.say(.flag(flag: "f-1.2.3", revision: 1, studyInstanceUID: "1.2.3"), payload: sound)
        #expect(try worker.next { if case .flagAck("f-1.2.3", 1, _, _, _) = $0 { true } else { false } } != nil)
        for body in [Self.deep, #"{"finding":\#(Self.deep)}"#, String(repeating: "[", count: 65_536)] {
            let answer = again.review("1.2.3", body)
            #expect(answer.code == Code.badArgument)
            #expect((answer.object["text"] as? String)?.contains("nested deeper than 32") == true)
        }
        #expect(again.status["models"] == nil || again.status["models"] is NSNull)
        #expect(again.worklist.count == 1)
        #expect(again.study("1.2.3").code == Code.ok)
        let verdict = #"{"finding":"haemorrhage","verdict":"agree","reviewer":"A"}"#
        #expect(again.review("1.2.3", verdict).code == Code.ok)
    }

    @Test func `what an older version stored is shown as unreadable, and counted`() throws {
        let place = try Place()
        let worker = try ScriptedWorker(place.endpoint)
        let host = ScriptedHost()
        let first = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(
            try eventually {
                try worker.listen()
                return first.status.description.contains("scripted")
            })
        for study in ["1.2.1", "1.2.2", "1.2.3"] {
            let json = flagJSON(study: study, urgency: "critical", probability: 0.9, instance: "i-\(study)")
            try worker.say(.flag(flag: "f-\(study)", revision: 1, studyInstanceUID: study), payload: json)
            #expect(try worker.next { if case .flagAck("f-\(study)", _, _, _, _) = $0 { true } else { false } } != nil)
            let verdict = #"{"finding":"haemorrhage","verdict":"agree","reviewer":"A"}"#
            #expect(first.review(study, verdict).code == Code.ok)
        }
        first.close()
        do {
            let database = try Connection(path: place.directory.path + "/gateway.sqlite")
            let bad = #"{"findings":\#(String(repeating: "[", count: 1_500))\#(String(repeating: "]", count: 1_500))}"#
            try database.run("UPDATE flag SET json = ? WHERE flag = 'f-1.2.1'", .text(bad))
            try database.run("UPDATE flag SET json = ? WHERE flag = 'f-1.2.2'", .text(#"{"findings":[null]}"#))
            try database.run(
                "UPDATE review SET json = ? WHERE study = (SELECT id FROM study WHERE study_instance_uid = '1.2.3')",
                .text(bad))
        }
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        let rows = Dictionary(
            uniqueKeysWithValues: gateway.worklist.map { ($0["study"] as? String ?? "", $0) })
        #expect(rows.count == 3)
        for study in ["1.2.1", "1.2.2"] {
            #expect(rows[study]?["unreadable"] as? Bool == true)
            #expect(rows[study]?["urgency"] as? String == "critical")
            #expect((rows[study]?["findings"] as? [Any])?.isEmpty == true)
            let flags = gateway.study(study).object["flags"] as? [[String: Any]]
            #expect(flags?.first?["unreadable"] as? Bool == true)
            #expect(flags?.first?["flag"] as? String == "f-\(study)")
        }
        #expect(rows["1.2.3"]?["unreadable"] as? Bool == false)
        let reviews = rows["1.2.3"]?["reviews"] as? [[String: Any]]
        #expect(reviews?.first?["unreadable"] as? Bool == true)
        let verdict = #"{"finding":"haemorrhage","verdict":"agree","reviewer":"A"}"#
        #expect(gateway.review("1.2.1", verdict).code == Code.badArgument)
        let withdrawal = #"{"finding":"haemorrhage","verdict":"withdraw","reviewer":"A"}"#
        #expect(gateway.review("1.2.3", withdrawal).code == Code.badArgument)
        #expect(eventually { gateway.number("database", "unreadable_flags") == 2 })
        #expect(gateway.number("database", "unreadable_reviews") == 1)
        #expect(host.warnings.contains { $0.contains("2 flags and 1 reviews cannot be read") })
    }

    @Test(arguments: [
        "CREATE INDEX evil ON flag (upper(json))",
        "ALTER TABLE receipt_book ADD COLUMN evil TEXT AS (upper(state)) VIRTUAL",
        "DROP INDEX flag_by_urgency",
    ]) func `a database with somebody else's schema is set aside before a table is read`(change: String) throws {
        let place = try Place()
        let host = ScriptedHost()
        try OpenGateway(host, directory: place.directory, worker: place.endpoint).close()
        let path = place.directory.path + "/gateway.sqlite"
        do { try Connection(path: path).execute(change) }
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(gateway.number("database", "set_aside") == 1)
        #expect(host.warnings.contains { $0.contains("schema is not Gantry's") })
        #expect(host.store("a", [1], in: gateway) == 0)
        #expect(eventually { gateway.number("outbox", "waiting") == 1 })
    }

    @Test func `views, triggers and tables of others do no harm and stay`() throws {
        let place = try Place()
        let host = ScriptedHost()
        try OpenGateway(host, directory: place.directory, worker: place.endpoint).close()
        let path = place.directory.path + "/gateway.sqlite"
        do {
            let database = try Connection(path: path)
            try database.execute(
                """
                CREATE TABLE mine (note TEXT); CREATE VIEW listed AS SELECT * FROM flag;
                CREATE TRIGGER evil AFTER INSERT ON outbox BEGIN SELECT json(NEW.instance); END
                """)
        }
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(host.store("[[[", [1], in: gateway) == 0)
        #expect(eventually { gateway.number("outbox", "waiting") == 1 })
        #expect(gateway.number("database", "set_aside") == 0)
    }
}
