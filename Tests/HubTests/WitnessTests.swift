// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import Foundation
import GRDB
import ModelPackage
import Testing

/// Two sides that keep each other's audit heads, and one that does not keep to its log.
@Suite struct WitnessTests {
    private let mine: DatabaseQueue
    private let theirs: DatabaseQueue

    init() throws {
        mine = try DatabaseQueue()
        theirs = try DatabaseQueue()
        for database in [mine, theirs] {
            try database.write { db in
                try AuditLog.migrate(db)
                try AuditWitnesses.migrate(db)
            }
        }
    }

    private func decide(_ database: DatabaseQueue, _ count: Int, _ word: String = "event") throws {
        try database.write { db in
            for number in 0..<count {
                try AuditLog.append(db, event: "\(word)-\(number)", detail: [:], atMilliseconds: Int64(number))
            }
        }
    }

    /// One hello: they say how far their log goes, and answer what I asked.
    @discardableResult
    private func meet(asking: Bool = true, at now: Int64 = 1) throws -> AuditWitnesses.Fault? {
        let asked = try mine.read { try AuditWitnesses.latest($0, peer: "them") }.map { Int($0.entries) }
        let statement = try theirs.read {
            try AuditWitnesses.statement($0, to: "me", asked: asking ? asked : nil)
        }
        return try mine.write {
            try AuditWitnesses.note($0, peer: "them", statement, event: "rewritten", atMilliseconds: now)
        }
    }

    private func rewrite(_ entries: Int, _ word: String = "other") throws {
        try theirs.write { db in
            for trigger in ["no_update", "no_delete", "in_order"] {
                try db.execute(sql: "DROP TRIGGER audit_entry_\(trigger)")
            }
            try db.execute(sql: "DELETE FROM audit_entry")
            try db.execute(sql: "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'audit_entry'")
            try AuditLog.migrate(db)
        }
        try decide(theirs, entries, word)
        // Nobody who sees this file alone can tell.
        #expect(try theirs.read { try AuditLog.verify($0) }.entries == entries)
    }

    private var witnesses: [AuditHead] {
        get throws { try mine.read { try AuditWitnesses.all($0, peer: "them").map(\.head) } }
    }

    private func events(_ database: DatabaseQueue) throws -> [String] {
        try database.read { try AuditLog.newest($0, limit: 100).map(\.event) }
    }

    @Test func `a log that grows is noted and never complained about`() throws {
        for count in [0, 3, 0, 1, 40] {
            try decide(theirs, count)
            #expect(try meet() == nil)
        }
        let noted = try witnesses
        #expect(noted.map(\.entries) == [0, 3, 4, 44])
        #expect(try theirs.read { try AuditLog.verify($0, witnesses: noted) }.entries == 44)
        #expect(try events(mine).isEmpty)
        #expect(try mine.read { try AuditWitnesses.faults($0) }.isEmpty)
    }

    @Test(arguments: [3, 5, 9]) func `a log that was written anew is found out by the other side and by a check`(
        _ entries: Int
    ) throws {
        try decide(theirs, 5)
        #expect(try meet() == nil)
        try rewrite(entries)
        let fault = try #require(try meet(at: 77))
        #expect(fault.witnessed.entries == 5 && fault.peer == "them")
        #expect("\(fault)".contains("restored") && "\(fault)".contains("rewritten"))
        #expect(try events(mine) == ["rewritten"])
        #expect(try mine.read { try AuditWitnesses.faults($0) } == ["them": 77])
        // Once, however often they meet, and although the new log goes on.
        try decide(theirs, 2)
        #expect(try meet(at: 78) == nil)
        #expect(try events(mine) == ["rewritten"])
        let noted = try witnesses
        #expect(throws: AuditError.self) { try theirs.read { try AuditLog.verify($0, witnesses: noted) } }
    }

    @Test func `a log that goes on after it was written anew has to prove what it was before it is noted`() throws {
        try decide(theirs, 5)
        #expect(try meet() == nil)
        try rewrite(20)
        // A process that was just started has not heard the question yet.
        #expect(try meet(asking: false) == nil)
        #expect(try witnesses.map(\.entries) == [5])
        #expect(try meet() != nil)
    }

    @Test func `an older copy is found out, also when it goes on from there`() throws {
        try decide(theirs, 5)
        #expect(try meet() == nil)
        let copy = try DatabaseQueue()
        try theirs.backup(to: copy)
        try decide(theirs, 4)
        #expect(try meet() == nil)
        try copy.backup(to: theirs)
        #expect(try meet()?.found?.entries == 5)
        #expect(try meet() == nil)
        try decide(theirs, 9, "after")
        #expect(try meet() == nil, "it was said already")
        #expect(
            throws: AuditError.rewritten(
                number: 9, witnessed: try witnesses[1].hash,
                found: try theirs.read { try #require(try AuditLog.head($0, at: 9)).hash })
        ) {
            let noted = try witnesses
            _ = try theirs.read { try AuditLog.verify($0, witnesses: noted) }
        }
    }

    @Test func `a log that was cut off is named by a check`() throws {
        try decide(theirs, 5)
        let witness = try theirs.read { try AuditLog.head($0) }
        try rewrite(2, "event")
        #expect(throws: AuditError.cutOff(entries: 2, witnessed: 5)) {
            try theirs.read { try AuditLog.verify($0, witnesses: [witness]) }
        }
    }

    @Test func `witnesses cannot be changed or removed`() throws {
        try decide(theirs, 5)
        try meet()
        for statement in ["DELETE FROM audit_witness", "UPDATE audit_witness SET entries = 1"] {
            #expect(throws: DatabaseError.self) { try mine.write { try $0.execute(sql: statement) } }
        }
    }

    @Test func `a line of a file of witnesses is read as it was printed`() throws {
        let hash = String(repeating: "0a", count: 32)
        #expect(AuditHead(line: "17 \(hash)") == AuditHead(entries: 17, hash: hash))
        for line in ["", "17", "17 abc", "x \(hash)", "-1 \(hash)", "17 \(hash.uppercased())"] {
            #expect(AuditHead(line: line) == nil)
        }
    }

    // MARK: Messages

    /// As release 0.1.0 sent them.
    static let firstRelease = (
        hello: """
        {"packages":[{"heldOutLabels":6,"live":"\(FederationWireTests.version.id.hex)","newLabels":3,\
        "package":"\(FederationWireTests.hash.hex)","trainingLabels":20}],"version":"0.1.0"}
        """,
        welcome: #"{"models":[],"site":"hospital-a"}"#
    )

    @Test func `messages of the first release are read, and today's by the first release`() throws {
        let texts = Self.firstRelease
        let hello = try ToHub(parts: [Data("GANTRYFED1 hello".utf8), Data(texts.hello.utf8)])
        #expect(hello == .hello(FederationWireTests.state))
        #expect(try hello.parts()[1] == Data(texts.hello.utf8))
        let welcome = try ToSite(parts: [Data("GANTRYFED1 welcome".utf8), Data(texts.welcome.utf8)])
        #expect(welcome == .welcome(HubState(site: "hospital-a", models: [])))
        // Its decoder passed unknown keys over, as this one does.
        let later = #"{"models":[],"site":"hospital-a","audit":null,"weather":{"rain":[1,2]}}"#
        #expect(try ToSite(parts: [Data("GANTRYFED1 welcome".utf8), Data(later.utf8)]) == welcome)
    }

    @Test func `what is said about a log arrives as it was said, and numbers that cannot be are refused`() throws {
        let head = AuditStatement.Head(entries: 9, hash: FederationWireTests.hash)
        var state = FederationWireTests.state
        state.audit = AuditStatement(head: head, proof: head, asks: 4, answers: 9)
        #expect(try ToHub(parts: try ToHub.hello(state).parts()) == .hello(state))
        let answer = HubState(site: "A", models: [], audit: AuditStatement(head: head))
        #expect(try ToSite(parts: try ToSite.welcome(answer).parts()) == .welcome(answer))
        state.audit?.asks = -1
        #expect(throws: FederationError.badValue(verb: "hello", field: "audit")) {
            try ToHub(parts: try ToHub.hello(state).parts())
        }
    }
}
