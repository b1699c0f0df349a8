// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing
import ZeroMQ

@testable import WorkerService

@Suite struct ConveyorTests {
    @Test func `A full conveyor makes the giver wait until something is taken`() throws {
        let conveyor = Conveyor<Int>(mostBytes: 100)
        #expect(conveyor.put(1, bytes: 80))
        let giver = ZeroMQ.Thread { conveyor.put(2, bytes: 80) }
        try giver.start()
        #expect(conveyor.bytes <= 100)
        #expect(conveyor.take() == 1)
        #expect(conveyor.take() == 2)
        giver.join()
    }

    @Test func `One element always fits, however large`() {
        let conveyor = Conveyor<Int>(mostBytes: 100)
        #expect(conveyor.put(1, bytes: 1_000_000))
        #expect(conveyor.take(upTo: 5, milliseconds: 0) == [1])
        #expect(conveyor.bytes == 0)
    }

    @Test func `Closing wakes those who wait and refuses more`() throws {
        let conveyor = Conveyor<Int>()
        let taker = ZeroMQ.Thread { #expect(conveyor.take() == nil) }
        try taker.start()
        conveyor.close()
        taker.join()
        #expect(!conveyor.put(1))
    }

    @Test func `Matching elements are taken in order and the others stay in order`() {
        let conveyor = Conveyor<Int>()
        for number in 1...8 { conveyor.put(number, bytes: 1) }
        #expect(conveyor.takeMatching { $0 > 6 ? nil : $0 % 2 == 0 } == [2, 4, 6])
        #expect(conveyor.bytes == 5)
        #expect(conveyor.take(upTo: 9, milliseconds: 0) == [1, 3, 5, 7, 8])
    }
}
