// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing

@testable import ZeroMQ

/// Owns memory full of sevens. Sendable: nothing changes it.
private final class Lender: @unchecked Sendable {
    let memory: UnsafeMutableRawPointer

    init(count: Int) {
        memory = .allocate(byteCount: count, alignment: 16)
        memset(memory, 7, count)
    }

    deinit { memory.deallocate() }
}

@Suite struct SocketTests {
    private struct Missing: Error {}

    /// Receives within five seconds, or nil.
    func receive(_ socket: Socket) throws -> [Frame]? {
        let deadline = Date().addingTimeInterval(5)
        while Date() < deadline {
            if let message = try socket.receive() { return message }
            try waitForInput(on: [socket], or: nil, timeoutMilliseconds: 100)
        }
        return nil
    }

    /// Sends within five seconds; false when there was never a peer.
    func send(_ socket: Socket, _ frames: () -> [Frame]) throws -> Bool {
        let deadline = Date().addingTimeInterval(5)
        while Date() < deadline {
            if try socket.send(frames()) { return true }
            try waitForInput(on: [socket], or: nil, timeoutMilliseconds: 20)
        }
        return false
    }

    func event(_ monitor: ConnectionMonitor) throws -> ConnectionMonitor.Event? {
        let deadline = Date().addingTimeInterval(5)
        while Date() < deadline {
            if let event = try monitor.next() { return event }
            try waitForInput(on: [monitor.socket], or: nil, timeoutMilliseconds: 100)
        }
        return nil
    }

    @Test func `a multipart message arrives whole, with the sender's identity before it`() throws {
        let context = try Context()
        let router = try Socket(.router, in: context)
        try router.bind("tcp://127.0.0.1:*")
        let dealer = try Socket(.dealer, in: context)
        try dealer.setRoutingID("gw-1")
        try dealer.connect(router.lastEndpoint)
        #expect(try send(dealer) { [Frame("GANTRY1 bye"), Frame([1, 2, 3]), Frame()] })
        let message = try #require(try receive(router))
        #expect(message.map(\.bytes) == [Array("gw-1".utf8), Array("GANTRY1 bye".utf8), [1, 2, 3], []])
    }

    @Test func `memory is lent without a copy and its owner is let go when it is sent`() throws {
        let context = try Context()
        let router = try Socket(.router, in: context)
        try router.bind("tcp://127.0.0.1:*")
        let dealer = try Socket(.dealer, in: context)
        try dealer.connect(router.lastEndpoint)
        var lender: Lender? = Lender(count: 3_000_000)
        weak let owner = lender
        let memory = try #require(lender?.memory)
        let frame = Frame(lending: memory, count: 3_000_000, of: try #require(lender))
        lender = nil
        #expect(owner != nil)
        #expect(frame.withUnsafeBytes { $0.baseAddress == UnsafeRawPointer(memory) })
        #expect(try send(dealer) { [frame] })
        #expect(frame.count == 0)
        let message = try #require(try receive(router))
        #expect(message.last?.bytes == [UInt8](repeating: 7, count: 3_000_000))
        let deadline = Date().addingTimeInterval(5)
        while owner != nil, Date() < deadline { usleep(1_000) }
        #expect(owner == nil)
    }

    @Test func `a dealer that is told to be immediate refuses a message while nobody is there`() throws {
        let context = try Context()
        let dealer = try Socket(.dealer, in: context)
        try dealer.setImmediate()
        try dealer.connect("ipc:///tmp/gantry-nobody-\(UUID().uuidString)")
        let frame = Frame("hello")
        #expect(try dealer.send([frame]) == false)
        #expect(frame.text == "hello")
    }

    @Test func `the monitor tells when a peer comes and goes`() throws {
        let context = try Context()
        let endpoint = "ipc:///tmp/gantry-monitor-\(UUID().uuidString)"
        let dealer = try Socket(.dealer, in: context)
        let monitor = try ConnectionMonitor(of: dealer, named: "test", in: context)
        try dealer.setReconnect(fromMilliseconds: 20, toMilliseconds: 100)
        try dealer.connect(endpoint)
        do {
            let router = try Socket(.router, in: context)
            try router.bind(endpoint)
            var first = try event(monitor)
            while first == .failed { first = try event(monitor) }
            guard case .opened(let connection?) = first else { throw Missing() }
            #expect(connection.peerUser == geteuid())
            #expect(try event(monitor) == .connected)
            #expect(try monitor.next() == nil)
        }
        guard case .disconnected = try event(monitor) else { throw Missing() }
    }

    @Test func `a wakeup ends a wait without limit`() throws {
        let wakeup = try Wakeup()
        let thread = ZeroMQ.Thread { wakeup.signal() }
        try thread.start()
        try waitForInput(on: [], or: wakeup, timeoutMilliseconds: -1)
        thread.join()
    }

    @Test func `only an admitted key is heard`() throws {
        let server = try CurveKeyPair.generate()
        let friend = try CurveKeyPair.generate()
        let stranger = try CurveKeyPair.generate()
        let context = try Context()
        let doorkeeper = try Doorkeeper(in: context) { $0 == friend.publicKey ? "friend" : nil }
        let router = try Socket(.router, in: context)
        try router.serveCurve(server)
        try router.bind("tcp://127.0.0.1:*")

        let outside = try Socket(.dealer, in: context)
        try outside.useCurve(serverKey: server.publicKey, keys: stranger)
        try outside.connect(router.lastEndpoint)
        _ = try outside.send([Frame("let me in")])
        let inside = try Socket(.dealer, in: context)
        try inside.useCurve(serverKey: server.publicKey, keys: friend)
        try inside.connect(router.lastEndpoint)
        #expect(try send(inside) { [Frame("good day")] })

        let message = try #require(try receive(router))
        #expect(message.last?.text == "good day")
        #expect(message.last?.userID == "friend")
        let deadline = Date().addingTimeInterval(5)
        while doorkeeper.refusedConnections == 0, Date() < deadline { usleep(1_000) }
        #expect(doorkeeper.refusedConnections > 0)
        #expect(try router.receive() == nil)
        doorkeeper.stop()
    }

    @Test func `a key pair is checked when it is read`() throws {
        let keys = try CurveKeyPair.generate()
        #expect(CurveKeyPair(secretKey: keys.secretKey) == keys)
        #expect(CurveKeyPair(publicKey: try CurveKeyPair.generate().publicKey, secretKey: keys.secretKey) == nil)
        #expect(CurveKeyPair(secretKey: "short") == nil)
        #expect(!CurveKeyPair.isKey(String(repeating: "~", count: 40)))
    }
}
