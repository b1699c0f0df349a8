// SPDX-License-Identifier: GPL-3.0-or-later
import Testing
import Triage

@Suite struct CompletenessTests {
    private func study(_ groups: Completeness.Group...) -> Completeness {
        var study = Completeness(
            quiet: .init(milliseconds: 2000, countedMilliseconds: 500), groups: [], position: 0)
        for group in groups { for _ in 0..<group.instances { study.add(one(group), position: 0) } }
        return study
    }

    private func one(_ group: Completeness.Group) -> Completeness.Group {
        Completeness.Group(series: group.series, expected: group.expected)
    }

    private func group(_ series: String, _ instances: Int, of expected: Int? = nil) -> Completeness.Group {
        Completeness.Group(series: series, expected: ExpectedCounts(series: expected), instances: instances)
    }

    private func acquired(_ number: Int?, _ instances: Int, of expected: Int, series: String = "1")
        -> Completeness.Group
    {
        Completeness.Group(
            series: series, expected: ExpectedCounts(acquisition: expected, acquisitionNumber: number),
            instances: instances)
    }

    private func counted(_ study: Int?) -> Completeness.Group { .init(expected: ExpectedCounts(study: study)) }

    @Test func `A study is complete after its quiet period and not before`() {
        var study = study()
        study.add(counted(nil), position: 500)
        #expect(study.reason(at: 2499) == nil)
        #expect(study.reason(at: 2500) == .quietPeriod)
    }

    @Test func `A study that carries its count is complete with the last instance`() {
        var study = study(counted(2))
        #expect(study.reason(at: 10) == nil)
        study.add(counted(nil), position: 20)
        #expect(study.reason(at: 20) == .expectedCount)
    }

    @Test func `A count that is never reached does not keep a study open for ever`() {
        let study = study(counted(100))
        #expect(study.reason(at: 1999) == nil)
        #expect(study.reason(at: 2000) == .quietPeriod)
    }

    @Test func `A count that was too low says nothing any more, and the quiet period decides`() {
        let study = study(counted(2), counted(2), counted(2))
        #expect(study.reason(at: 1999) == nil)
        #expect(study.reason(at: 2000) == .quietPeriod)
    }

    @Test func `A count of nothing or less is none`() {
        #expect(ExpectedCounts(study: 0, series: -1, acquisition: 0) == ExpectedCounts())
    }

    @Test func `The host's word ends the waiting until another instance comes`() {
        var study = study(counted(nil))
        study.hostSaysComplete()
        #expect(study.reason(at: 11) == .host)
        study.add(counted(nil), position: 20)
        #expect(study.reason(at: 21) == nil)
    }

    @Test func `A full series shortens the quiet period and does not end it, for another one may follow`() {
        var study = study(group("1", 2, of: 2))
        #expect(study.reason(at: 499) == nil)
        #expect(study.reason(at: 500) == .seriesCount)
        study.add(group("2", 1, of: 3), position: 400)
        #expect(study.reason(at: 2399) == nil)
        #expect(study.reason(at: 2400) == .quietPeriod)
    }

    @Test func `Every series that was begun has to be full, and one that does not count itself never is`() {
        #expect(study(group("1", 2, of: 2), group("2", 3, of: 3)).reason(at: 500) == .seriesCount)
        #expect(study(group("1", 2, of: 2), group("2", 2, of: 3)).reason(at: 500) == nil)
        #expect(study(group("1", 2, of: 2), group("2", 3)).reason(at: 500) == nil)
        #expect(study(group("1", 3, of: 2)).reason(at: 500) == nil)
    }

    @Test func `A series is full when each of its acquisitions is, and every instance counts its own`() {
        #expect(study(acquired(1, 2, of: 2), acquired(2, 3, of: 3)).reason(at: 500) == .acquisitionCount)
        #expect(study(acquired(1, 2, of: 2), acquired(2, 2, of: 3)).reason(at: 500) == nil)
        #expect(study(acquired(nil, 2, of: 2)).reason(at: 500) == .acquisitionCount)
        #expect(study(acquired(1, 2, of: 2), group("1", 1)).reason(at: 500) == nil)
        #expect(study(acquired(1, 3, of: 2)).reason(at: 500) == nil)
        // The same number in another series is another acquisition.
        #expect(study(acquired(1, 2, of: 2), acquired(1, 1, of: 2, series: "2")).reason(at: 500) == nil)
        // Its own words are better than those of its acquisitions.
        #expect(study(acquired(1, 2, of: 2), group("2", 1, of: 1)).reason(at: 500) == .acquisitionCount)
    }

    @Test func `Full series do not hurry a study that says that there is more`() {
        var study = study(.init(series: "1", expected: ExpectedCounts(study: 3, series: 1)))
        #expect(study.reason(at: 1999) == nil)
        #expect(study.reason(at: 2000) == .quietPeriod)
        study.add(.init(series: "2", expected: ExpectedCounts(series: 2)), position: 10)
        study.add(.init(series: "2", expected: ExpectedCounts(series: 2)), position: 10)
        #expect(study.reason(at: 10) == .expectedCount)
    }

    @Test func `A study that is opened again knows what it knew`() {
        let groups = [group("1", 20, of: 20), acquired(1, 5, of: 6, series: "2")]
        var again = Completeness(
            quiet: .init(milliseconds: 2000, countedMilliseconds: 500), groups: groups, expectedInstances: 40,
            position: 7)
        #expect(again.instances == 25)
        #expect(again.expectedInstances == 40)
        #expect(again.quietMilliseconds == 2000)
        again = Completeness(quiet: .init(milliseconds: 2000, countedMilliseconds: 500), groups: groups, position: 7)
        again.add(acquired(1, 1, of: 6, series: "2"), position: 100)
        #expect(again.reason(at: 600) == .acquisitionCount)
        again.touch(position: 200)
        #expect(again.reason(at: 600) == nil)
    }

    @Test func `The shortened quiet period is never the longer one`() {
        var study = Completeness(quiet: .init(milliseconds: 100, countedMilliseconds: 500), position: 0)
        study.add(group("1", 1, of: 1), position: 0)
        #expect(study.reason(at: 100) == .seriesCount)
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
