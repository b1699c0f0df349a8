// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing

@testable import GatewayCore

@Suite struct HookMemoryTests {
    static let chunk = HookMemory.chunkBytes
    static let megabyte = 1_048_576

    @Test func `no room is given before it is resident, and none when no worker is there`() {
        let memory = HookMemory(windowBytes: 64 * Self.megabyte)
        #expect(memory.take(bytes: 1)?.firstChunk == nil)
        memory.adapt(isNeeded: false, now: 0)
        #expect(memory.residentBytes == 0)
        memory.adapt(isNeeded: true, now: 0)
        #expect(memory.residentBytes >= 8 * Self.megabyte)
        #expect(memory.take(bytes: 1)?.firstChunk != nil)
    }

    @Test func `rooms in use do not overlap, and all of them can be used again`() throws {
        let memory = HookMemory(windowBytes: 16 * Self.megabyte)
        var used: [(room: UnsafeMutableRawPointer, first: Int, bytes: Int, value: UInt8)] = []
        var misses = 0
        for turn in 0..<2_000 {
            memory.adapt(isNeeded: true, now: Int64(turn))
            let bytes = Int.random(in: 1...700_000)
            if let room = memory.take(bytes: bytes) {
                let value = UInt8(truncatingIfNeeded: turn)
                memset(room.memory, Int32(value), bytes)
                used.append((room.memory, room.firstChunk, bytes, value))
            } else {
                misses += 1
            }
            if Bool.random() || used.count > 40 {
                let (room, first, bytes, value) = used.remove(at: Int.random(in: used.indices))
                let content = UnsafeRawBufferPointer(start: room, count: bytes)
                #expect(content.allSatisfy { $0 == value })
                memory.giveBack(firstChunk: first, bytes: bytes)
            }
        }
        #expect(misses > 0 && misses < 2_000)
        for (_, first, bytes, _) in used { memory.giveBack(firstChunk: first, bytes: bytes) }
        #expect(memory.take(bytes: 16 * Self.megabyte)?.firstChunk == 0)
    }

    @Test func `memory grows ahead of what is used, as far as the window`() throws {
        let memory = HookMemory(windowBytes: 20 * Self.megabyte)
        var rooms = 0
        for turn in 0..<40 {
            memory.adapt(isNeeded: true, now: Int64(turn))
            if memory.take(bytes: Self.megabyte)?.firstChunk != nil { rooms += 1 }
        }
        #expect(rooms == 20)
        #expect(memory.residentBytes == 20 * Self.megabyte)
    }

    @Test func `an instance larger than the reserve finds room the second time`() {
        let memory = HookMemory(windowBytes: 64 * Self.megabyte)
        memory.adapt(isNeeded: true, now: 0)
        #expect(memory.take(bytes: 40 * Self.megabyte)?.firstChunk == nil)
        memory.adapt(isNeeded: true, now: 1)
        #expect(memory.take(bytes: 40 * Self.megabyte)?.firstChunk != nil)
        #expect(memory.take(bytes: 65 * Self.megabyte)?.firstChunk == nil)
    }

    @Test func `memory is given back when it was idle for minutes, and at once when the worker is away`() throws {
        let memory = HookMemory(windowBytes: 64 * Self.megabyte)
        memory.adapt(isNeeded: true, now: 0)
        _ = memory.take(bytes: 40 * Self.megabyte)
        memory.adapt(isNeeded: true, now: 1)
        let room = try #require(memory.take(bytes: 40 * Self.megabyte))
        memory.adapt(isNeeded: false, now: 2)
        #expect(memory.residentBytes >= 40 * Self.megabyte)
        memory.giveBack(firstChunk: room.firstChunk, bytes: 40 * Self.megabyte)
        memory.adapt(isNeeded: true, now: 3)
        memory.adapt(isNeeded: true, now: 100_000)
        #expect(memory.residentBytes >= 40 * Self.megabyte)
        memory.adapt(isNeeded: true, now: 200_000)
        #expect(memory.residentBytes == 8 * Self.megabyte)
        memory.adapt(isNeeded: false, now: 200_001)
        #expect(memory.residentBytes == 0)
        #expect(memory.take(bytes: 1)?.firstChunk == nil)
    }

    @Test func `what was given back is used again, the lowest first`() throws {
        let memory = HookMemory(windowBytes: 16 * Self.megabyte)
        memory.adapt(isNeeded: true, now: 0)
        let first = try #require(memory.take(bytes: 33 * Self.chunk))
        let second = try #require(memory.take(bytes: 100 * Self.chunk))
        let third = try #require(memory.take(bytes: 1))
        let chunks: [Int] = [first.firstChunk, second.firstChunk, third.firstChunk]
        #expect(chunks == [0, 33, 133])
        memory.giveBack(firstChunk: 33, bytes: 100 * Self.chunk)
        #expect(memory.take(bytes: 101 * Self.chunk)?.firstChunk == 134)
        #expect(memory.take(bytes: 100 * Self.chunk)?.firstChunk == 33)
        memory.giveBack(firstChunk: 0, bytes: 33 * Self.chunk)
        #expect(memory.take(bytes: 33 * Self.chunk)?.firstChunk == 0)
    }
}
