// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Synchronization
import Testing

@testable import ZeroMQ

/// The limiter at a real socket.
@Suite struct ConnectionLimiterTests {
    private let context: Context
    private let router: Socket
    private let keys: CurveKeyPair
    private let friend: CurveKeyPair

    init() throws {
        context = try Context()
        router = try Socket(.router, in: context)
        (keys, friend) = (try .generate(), try .generate())
    }

    private final class Notes: Sendable {
        let notes = Mutex<[ConnectionLimiter.Note]>([])
        func has(_ reason: ConnectionLimiter.Reason) -> Bool {
            notes.withLock { $0.contains { if case .ended(reason, _) = $0 { true } else { false } } }
        }
    }

    private func limiter(_ limits: ConnectionLimits, _ notes: Notes) throws -> ConnectionLimiter {
        let limiter = try ConnectionLimiter(of: router, named: "test", in: context, limits: limits) { note in
            notes.notes.withLock { $0.append(note) }
        }
        return limiter
    }

    private func eventually(_ condition: () throws -> Bool) throws -> Bool {
        let deadline = Date().addingTimeInterval(60)
        while Date() < deadline {
            if try condition() { return true }
            usleep(5_000)
        }
        return false
    }

    private func hear(_ limiter: ConnectionLimiter) throws -> [String] {
        var texts: [String] = []
        while let frames = try router.receive() {
            limiter.heard(frames.dropFirst())
            texts.append(frames.last?.text ?? "")
        }
        return texts
    }

    @Test func `a key has a few connections, of which the newest stay`() throws {
        let known = friend.publicKey
        let doorkeeper = try Doorkeeper(in: context) { $0 == known ? "friend" : nil }
        defer { doorkeeper.stop() }
        let notes = Notes()
        let limiter = try limiter(ConnectionLimits(perUser: 2, unreadBytes: 1 << 20, total: 100), notes)
        defer { limiter.stop() }
        try router.serveCurve(keys)
        try router.bind("tcp://127.0.0.1:*")
        var peers: [Socket] = []
        for number in 0..<4 {
            let peer = try Socket(.dealer, in: context)
            try peer.useCurve(serverKey: keys.publicKey, keys: friend)
            try peer.setSingleConnection()
            try peer.setImmediate()
            try peer.connect(router.lastEndpoint)
            #expect(try eventually { try peer.send([Frame("hello \(number)")]) })
            #expect(try eventually { try hear(limiter).contains("hello \(number)") })
            peers.append(peer)
        }
        #expect(try eventually { limiter.count == 2 })
        #expect(limiter.endedCount == 2)
        #expect(notes.notes.withLock { $0.contains(.ended(.tooManyOfUser, user: "friend")) })
        #expect(try eventually { try !peers[0].send([Frame("still here")]) })
        #expect(try peers[3].send([Frame("the last one")]))
        #expect(try eventually { try hear(limiter).contains("the last one") })
    }

    @Test func `a connection that says nothing is ended`() throws {
        var limits = ConnectionLimits(unreadBytes: 1 << 20, total: 100)
        limits.silenceMilliseconds = 100
        let notes = Notes()
        let limiter = try limiter(limits, notes)
        defer { limiter.stop() }
        let endpoint = "ipc:///tmp/gantry-limiter-\(UUID().uuidString)"
        try router.bind(endpoint)
        let peer = try Socket(.dealer, in: context)
        try peer.setSingleConnection()
        try peer.connect(endpoint)
        #expect(try eventually { notes.has(.saidNothing) })
        #expect(try eventually { limiter.count == 0 })
    }

    @Test func `a descriptor that stands for something else by now is left alone`() throws {
        let pair = UnsafeMutablePointer<Int32>.allocate(capacity: 2)
        defer { pair.deallocate() }
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, pair) == 0)
        let (mine, other) = (pair[0], pair[1])
        defer {
            close(mine)
            close(other)
        }
        let known = try #require(Connection(descriptor: mine))
        Connection(descriptor: mine, number: known.number + 1).hangUp()
        #expect(write(mine, "x", 1) == 1)
        known.hangUp()
        var byte: UInt8 = 0
        #expect(read(other, &byte, 1) == 1)
        #expect(read(other, &byte, 1) == 0)
        #expect(Connection(descriptor: open("/dev/null", O_RDONLY)) == nil)
    }
}
