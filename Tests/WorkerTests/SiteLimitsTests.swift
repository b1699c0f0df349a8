// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import Testing

@testable import WorkerService

/// What a hub may ask a site for, and how long what failed waits.
@Suite struct SiteLimitsTests {
    private let base = version("base")

    private func round(_ change: (inout RoundConfig) -> Void = { _ in }) -> RoundConfig {
        var round = RoundConfig(
            round: 1, base: base, secondsLeft: 100, minimumLabels: 1, epochs: 1, batchStudies: 4, optimiser: .adam,
            learningRate: 1e-3, weightDecay: 1e-4, momentum: 0.9, seed: 1)
        change(&round)
        return round
    }

    @Test func `A usual round is taken`() {
        #expect(SiteLimits().refusal(of: round(), package: base.package) == nil)
    }

    @Test func `A round that asks for too much is declined with what it is`() {
        let bad: [(SiteLimits.RoundRefusal, RoundConfig)] = [
            (.epochs, round { $0.epochs = 101 }), (.batchStudies, round { $0.batchStudies = 4096 }),
            (.learningRate, round { $0.learningRate = 0.2 }), (.learningRate, round { $0.learningRate = -1 }),
            (.learningRate, round { $0.learningRate = .infinity }), (.learningRate, round { $0.learningRate = .nan }),
            (.weightDecay, round { $0.weightDecay = -1 }), (.momentum, round { $0.momentum = 1 }),
            (.base, round { $0.base = version("x", package: "another") }),
        ]
        for (reason, round) in bad {
            #expect(SiteLimits().refusal(of: round, package: base.package)?.reason == reason)
        }
    }

    @Test func `A package's rule counts as far as the site allows`() {
        let floor = SiteLimits().guardFloor
        let lax = GuardRule(margin: 1, minimumLabelsPerClass: 1, tolerance: 1).bounded(by: floor)
        #expect(lax == GuardRule(margin: 0.05, minimumLabelsPerClass: 2, tolerance: 0.1))
        let strict = GuardRule(margin: 0, minimumLabelsPerClass: 50, tolerance: 0)
        #expect(strict.bounded(by: floor) == strict)
    }

    @Test func `What fails waits longer each time, and another package does not`() {
        var pauses = DownloadPauses()
        var now: Int64 = 0
        for pause: Int64 in [2000, 4000, 8000] {
            #expect(pauses.mayTry(base.package, at: now))
            pauses.failed(base.package, at: now)
            #expect(!pauses.mayTry(base.package, at: now + pause - 1))
            now += pause
        }
        for _ in 0..<100 { pauses.failed(base.package, at: now) }
        #expect(pauses.mayTry(base.package, at: now + 3_600_000))
        #expect(pauses.mayTry(base.parameters, at: now))
        pauses.forget()
        #expect(pauses.mayTry(base.package, at: now))
    }

    @Test func `A hub cannot fill the log`() {
        var pauses = DownloadPauses()
        var lines = 0
        for moment in 0..<1000 where pauses.mayComplain(at: Int64(moment)) { lines += 1 }
        let mayLater = pauses.mayComplain(at: 3_600_000)
        #expect(lines == 20 && mayLater)
        var declined = DeclinedRounds()
        func rounds(_ number: Int) -> [DeclinedRounds.Round] {
            [.init(model: "m", round: number, reason: "epochs", text: "\(number)")]
        }
        var notes = 0
        for number in 0..<1000 { notes += declined.replace(with: rounds(number), at: Int64(number)).count }
        #expect(notes == 1)
        #expect(declined.current == rounds(999))
    }
}
