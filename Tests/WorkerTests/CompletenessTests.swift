// SPDX-License-Identifier: GPL-3.0-or-later
import Testing
import Triage

@Suite struct CompletenessTests {
    @Test func `A study is complete after its quiet period and not before`() {
        var study = Completeness(quietMilliseconds: 2000, position: 0)
        study.add(expectedInstances: nil, position: 500)
        #expect(study.reason(at: 2499) == nil)
        #expect(study.reason(at: 2500) == .quietPeriod)
    }

    @Test func `A study that carries its count is complete with the last instance`() {
        var study = Completeness(quietMilliseconds: 2000, position: 0)
        study.add(expectedInstances: 2, position: 10)
        #expect(study.reason(at: 10) == nil)
        study.add(expectedInstances: nil, position: 20)
        #expect(study.reason(at: 20) == .expectedCount)
    }

    @Test func `A count that is never reached does not keep a study open for ever`() {
        var study = Completeness(quietMilliseconds: 2000, position: 0)
        study.add(expectedInstances: 100, position: 10)
        #expect(study.reason(at: 2010) == .quietPeriod)
    }

    @Test func `The host's word ends the waiting until another instance comes`() {
        var study = Completeness(quietMilliseconds: 2000, position: 0)
        study.add(expectedInstances: nil, position: 10)
        study.hostSaysComplete()
        #expect(study.reason(at: 11) == .host)
        study.add(expectedInstances: nil, position: 20)
        #expect(study.reason(at: 21) == nil)
    }
}

@Suite struct ArrivalClockTests {
    @Test func `Time stands still while an instance is outstanding`() {
        var clock = ArrivalClock(now: 0)
        let first = clock.arrive(receivedAt: 1000, now: 0)
        #expect(clock.time(now: 60_000) == first.position)
        clock.finish(first)
        #expect(clock.time(now: 60_000) == 60_000)
    }

    @Test func `A backlog is read on the gateway's time line, not on the worker's`() {
        var clock = ArrivalClock(now: 0)
        // Two studies an hour apart that arrive in one breath after an outage.
        let first = clock.arrive(receivedAt: 0, now: 0)
        let second = clock.arrive(receivedAt: 3_600_000, now: 1)
        clock.finish(first)
        #expect(clock.time(now: 2) - first.position == 3_600_000)
        clock.finish(second)
        #expect(clock.time(now: 5) - second.position == 4)
    }

    @Test func `A slow backlog does not look like a pause`() {
        var clock = ArrivalClock(now: 0)
        // Received 100 ms apart, handed over 1.5 s apart.
        var last: Int64 = 0
        for index in 0..<5 {
            let now = Int64(index) * 1500
            let ticket = clock.arrive(receivedAt: Int64(index) * 100, now: now)
            clock.finish(ticket)
            #expect(ticket.position - last <= 100)
            last = ticket.position
        }
    }

    @Test func `A gateway clock that jumps back stands still`() {
        var clock = ArrivalClock(now: 0)
        let first = clock.arrive(receivedAt: 5_000_000, now: 0)
        let second = clock.arrive(receivedAt: 1000, now: 10)
        #expect(second.position == first.position)
        clock.finish(second)
        clock.finish(first)
        #expect(clock.time(now: 2010) - second.position == 2000)
    }

    @Test func `Finishing out of order and twice counts once`() {
        var clock = ArrivalClock(now: 0)
        let tickets = (0..<3).map { clock.arrive(receivedAt: Int64($0) * 10, now: Int64($0)) }
        let mark = clock.mark()
        clock.finish(tickets[2])
        clock.finish(tickets[2])
        #expect(clock.outstandingCount == 2)
        #expect(!clock.isWorkedOff(to: mark))
        clock.finish(tickets[0])
        clock.finish(tickets[1])
        #expect(clock.outstandingCount == 0)
        #expect(clock.isWorkedOff(to: mark))
    }
}
