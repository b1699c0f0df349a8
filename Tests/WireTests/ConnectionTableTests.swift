// SPDX-License-Identifier: GPL-3.0-or-later
import Testing

@testable import ZeroMQ

@Suite struct ConnectionTableTests {
    private func connection(_ descriptor: Int32, _ number: UInt64? = nil, process: Int32? = nil) -> Connection {
        Connection(
            descriptor: descriptor, number: number ?? UInt64(descriptor) + 1000,
            peerUser: process.map { _ in 0 }, peerProcess: process)
    }

    private func limits(perUser: Int = 2) -> ConnectionLimits {
        var limits = ConnectionLimits(perUser: perUser, unreadBytes: 1000, total: 6)
        limits.newcomers = 3
        limits.perProcess = 2
        return limits
    }

    /// A table that expectations may change.
    private final class Table {
        var table: ConnectionTable

        init(_ limits: ConnectionLimits) { table = ConnectionTable(limits) }

        func opened(_ connection: Connection, at now: Int64) -> [ConnectionTable.Ending] {
            table.opened(connection, at: now)
        }

        func closed(descriptor: Int32) { table.closed(descriptor: descriptor) }

        func look(at now: Int64) -> [ConnectionTable.Ending] { table.look(at: now) { _ in nil } }

        func speak(_ descriptor: Int32, _ user: String? = nil, _ number: Int = 0) -> [Int32] {
            table.spoke(
                descriptor: descriptor, admission: user.map { Admission(user: $0, number: number) },
                frames: [Frame("hello")]
            ).map(\.connection.descriptor)
        }
    }

    private final class Unread {
        var backlog: Backlog

        init(mostBytes: UInt64, mostMessages: Int = 50_000) {
            backlog = Backlog(mostBytes: mostBytes, mostMessages: mostMessages)
        }

        func isTooLarge(received: UInt64?) -> Bool { backlog.isTooLarge(received: received) }
    }

    @Test func `a user's oldest connection goes when there are too many of them`() {
        let table = Table(limits())
        for descriptor in 1...3 as ClosedRange<Int32> {
            #expect(table.opened(connection(descriptor), at: 0).isEmpty)
            #expect(table.speak(descriptor, "a", Int(descriptor)) == (descriptor == 3 ? [1] : []))
        }
        // Another user is another one.
        #expect(table.opened(connection(4), at: 0).isEmpty)
        #expect(table.speak(4, "b", 4) == [])
        // One that was ended is not ended again, and does not count.
        table.closed(descriptor: 1)
        #expect(table.opened(connection(1, 77), at: 0).isEmpty)
        #expect(table.speak(1, "a", 5) == [2])
    }

    @Test func `the last word of a connection is not taken for one of the next that has its descriptor`() {
        let table = Table(limits(perUser: 1))
        _ = table.opened(connection(1), at: 0)
        _ = table.speak(1, "hostile", 1)
        table.closed(descriptor: 1)
        _ = table.opened(connection(1, 99), at: 0)
        #expect(table.speak(1, "honest", 2) == [])
        // What the first one said before it went, and one more connection of it.
        #expect(table.speak(1, "hostile", 1) == [])
        _ = table.opened(connection(2), at: 0)
        #expect(table.speak(2, "hostile", 3) == [])
    }

    @Test func `strangers push each other out, and nobody who has spoken`() {
        let table = Table(limits())
        _ = table.opened(connection(1), at: 0)
        _ = table.speak(1, "a", 1)
        for descriptor in 2...4 as ClosedRange<Int32> { #expect(table.opened(connection(descriptor), at: 0).isEmpty) }
        let endings = table.opened(connection(5), at: 0)
        #expect(endings.map(\.connection.descriptor) == [2])
        #expect(endings.first?.reason == .tooManyNewcomers)
    }

    @Test func `all together are bounded`() {
        let table = Table(limits())
        for descriptor in 1...6 as ClosedRange<Int32> {
            _ = table.opened(connection(descriptor), at: 0)
            _ = table.speak(descriptor, "user-\(descriptor)", Int(descriptor))
        }
        let endings = table.opened(connection(7), at: 0)
        #expect(endings.map(\.connection.descriptor) == [7])
        #expect(endings.first?.reason == .tooMany)
    }

    @Test func `a process of this machine has a few`() {
        let table = Table(limits())
        #expect(table.opened(connection(1, process: 40), at: 0).isEmpty)
        #expect(table.opened(connection(2, process: 40), at: 0).isEmpty)
        #expect(table.opened(connection(3, process: 40), at: 0).map(\.connection.descriptor) == [1])
        #expect(table.opened(connection(4, process: 41), at: 0).isEmpty)
    }

    @Test func `who says nothing has to go`() {
        let table = Table(limits())
        _ = table.opened(connection(1), at: 0)
        _ = table.opened(connection(2), at: 5_000)
        _ = table.speak(2)
        #expect(table.look(at: 10_000).isEmpty)
        let endings = table.look(at: 10_001)
        #expect(endings.map(\.reason) == [.saidNothing])
        #expect(table.look(at: 90_000).isEmpty)
    }

    @Test func `a message that never ends is noticed by its bytes`() {
        let unread = Unread(mostBytes: 1000)
        unread.backlog.read([Frame("hello")])
        #expect(!unread.isTooLarge(received: 500))
        // Everything complete is read, again and again, and still more comes.
        unread.backlog.drain()
        #expect(!unread.isTooLarge(received: 1_400))
        unread.backlog.drain()
        #expect(unread.isTooLarge(received: 1_501))
        unread.backlog.read([Frame("end")])
        #expect(!unread.isTooLarge(received: 1_501))
    }

    @Test func `messages that come faster than they are read are noticed`() {
        let unread = Unread(mostBytes: 1000, mostMessages: 10)
        #expect(!unread.isTooLarge(received: 0))
        for _ in 0..<9 { unread.backlog.read([Frame()]) }
        // 35 bytes of each are accounted for.
        #expect(!unread.isTooLarge(received: 1_315))
        #expect(unread.isTooLarge(received: 1_316))
        unread.backlog.read([Frame()])
        unread.backlog.drain()
        #expect(!unread.isTooLarge(received: 5_000))
        for _ in 0..<11 { unread.backlog.read([Frame()]) }
        #expect(unread.isTooLarge(received: nil))
    }

    @Test func `an admission is read as it was written`() {
        let admission = Admission(user: "a gateway with spaces", number: 17)
        #expect(Admission(admission.text) == admission)
        #expect(Admission("") == nil && Admission("name") == nil && Admission(" 3") == nil)
    }
}
