// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import GRDB
import Testing

@Suite struct AuditTests {
    func log(_ count: Int) throws -> DatabaseQueue {
        let queue = try DatabaseQueue()
        try queue.write { db in
            try AuditLog.migrate(db)
            for number in 0..<count {
                try AuditLog.append(
                    db, event: "event-\(number)", detail: ["a": "\(number)", "ü": "“x”\n"],
                    atMilliseconds: Int64(number))
            }
        }
        return queue
    }

    func tamper(_ queue: DatabaseQueue, _ sql: String) throws {
        try queue.write { db in
            for trigger in ["no_update", "no_delete", "in_order"] {
                try db.execute(sql: "DROP TRIGGER audit_entry_\(trigger)")
            }
            try db.execute(sql: sql)
        }
    }

    @Test func `an untouched log is whole and gives its last hash`() throws {
        let queue = try log(5)
        let summary = try queue.read { try AuditLog.verify($0) }
        #expect(summary.entries == 5)
        let newest = try queue.read { try AuditLog.newest($0, limit: 2) }
        #expect(newest.map(\.number) == [5, 4])
        #expect(newest[0].hash == summary.lastHash)
        #expect(newest[0].detail == ["a": "4", "ü": "“x”\n"])
        #expect(newest[0].previousHash == newest[1].hash)
    }

    @Test func `an empty log is whole`() throws {
        #expect(try log(0).read { try AuditLog.verify($0) }.entries == 0)
    }

    @Test(arguments: [
        "UPDATE audit_entry SET detail = '{\"a\":\"9\"}' WHERE number = 3",
        "UPDATE audit_entry SET event = 'other' WHERE number = 3",
        "UPDATE audit_entry SET at_ms = 77 WHERE number = 3",
        "UPDATE audit_entry SET hash = previous_hash WHERE number = 3",
    ])
    func `a changed entry is named`(change: String) throws {
        let queue = try log(5)
        try tamper(queue, change)
        #expect(throws: AuditError.changed(number: 3)) { try queue.read { try AuditLog.verify($0) } }
    }

    @Test func `a removed entry is named, also at the end`() throws {
        let middle = try log(5)
        try tamper(middle, "DELETE FROM audit_entry WHERE number = 2")
        #expect(throws: AuditError.missing(number: 2)) { try middle.read { try AuditLog.verify($0) } }
        let end = try log(5)
        try tamper(end, "DELETE FROM audit_entry WHERE number = 5")
        #expect(throws: AuditError.missing(number: 5)) { try end.read { try AuditLog.verify($0) } }
    }

    @Test func `a log that was written anew does not contain a hash that was noted`() throws {
        let queue = try log(5)
        let noted = try queue.read { try AuditLog.verify($0) }.lastHash
        try queue.write { _ = try AuditLog.append($0, event: "later", detail: [:]) }
        #expect(try queue.read { try AuditLog.verify($0, knownHash: noted) }.entries == 6)
        try tamper(queue, "DELETE FROM audit_entry; DELETE FROM sqlite_sequence WHERE name = 'audit_entry'")
        #expect(throws: AuditError.unknownHash(noted)) { try queue.read { try AuditLog.verify($0, knownHash: noted) } }
    }

    @Test(arguments: [
        "UPDATE audit_entry SET event = 'x' WHERE number = 1",
        "DELETE FROM audit_entry WHERE number = 2",
        "INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry WHERE number = 1",
        "INSERT INTO audit_entry VALUES (9, 0, 'x', '{}', 'not the last hash', 'y')",
    ])
    func `the table refuses everything but the next entry`(statement: String) throws {
        let queue = try log(2)
        #expect(throws: DatabaseError.self) { try queue.write { try $0.execute(sql: statement) } }
        #expect(try queue.read { try AuditLog.verify($0) }.entries == 2)
    }

    @Test func `a database without an audit log says so`() throws {
        #expect(throws: AuditError.noTable) { try DatabaseQueue().read { try AuditLog.verify($0) } }
    }

    @Test func `an entry of a transaction that is rolled back is not in the log`() throws {
        let queue = try log(1)
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try queue.write { db in
                try AuditLog.append(db, event: "undone", detail: [:])
                throw Stop()
            }
        }
        try queue.write { _ = try AuditLog.append($0, event: "next", detail: [:]) }
        #expect(try queue.read { try AuditLog.verify($0) }.entries == 2)
    }
}
