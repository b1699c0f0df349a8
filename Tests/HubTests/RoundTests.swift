// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import Rounds
import Testing

@Suite struct RoundTests {
    let strategy = FederatedAveraging()
    let version = ModelVersion(package: Hash(of: .init("p".utf8)), parameters: Hash(of: .init("q".utf8)))

    func settings(_ change: (inout RoundSettings) -> Void = { _ in }) -> RoundSettings {
        var settings = RoundSettings()
        settings.quorum = 2
        settings.deadlineSeconds = 60
        settings.extensions = 1
        settings.minimumLabels = 8
        settings.newLabels = 4
        settings.pauseSeconds = 5
        settings.intervalSeconds = 0
        settings.presenceSeconds = 30
        change(&settings)
        return settings
    }

    func standing(_ site: String, labels: Int = 10, new: Int = 10, seen: Int64 = 100_000) -> SiteStanding {
        SiteStanding(site: site, lastSeenMilliseconds: seen, trainingLabels: labels, newLabels: new)
    }

    func situation(
        _ sites: [SiteStanding], closed: Int = 0, end: Int64? = nil, now: Int64 = 101_000
    ) -> OpeningSituation {
        OpeningSituation(sites: sites, roundsClosed: closed, lastEndMilliseconds: end, nowMilliseconds: now)
    }

    func round(_ contributors: [String] = [], cohort: Set<String> = ["A", "B", "C"], extensions: Int = 0) -> Round {
        Round(
            number: 1, base: version, cohort: cohort, quorum: 2, openedAtMilliseconds: 0, deadlineMilliseconds: 60_000,
            extensionsUsed: extensions,
            contributions: Dictionary(
                uniqueKeysWithValues: contributors.map {
                    ($0, Contribution(site: $0, hash: Hash(of: .init($0.utf8)), examples: 5))
                }))
    }

    // MARK: Opening

    @Test func `a round opens when a quorum of sites is present with enough labels, and asks exactly these`() {
        let sites = [standing("A"), standing("B"), standing("C", labels: 7), standing("D", seen: 60_000)]
        #expect(strategy.opening(situation(sites), settings()) == .open(cohort: ["A", "B"]))
    }

    @Test func `no round opens while too few sites have enough labels`() {
        let sites = [standing("A"), standing("B", labels: 7)]
        #expect(
            strategy.opening(situation(sites), settings())
                == .wait(.sites(ready: 1, needed: 2, minimumLabels: 8)))
    }

    @Test func `no round opens after the limit is reached`() {
        let limited = settings { $0.roundLimit = 3 }
        let sites = [standing("A"), standing("B")]
        #expect(strategy.opening(situation(sites, closed: 3, end: 1000), limited) == .wait(.finished(rounds: 3)))
        #expect(strategy.opening(situation(sites, closed: 2, end: 1000), limited) == .open(cohort: ["A", "B"]))
    }

    @Test func `rounds rest between the end of one and the opening of the next`() {
        let sites = [standing("A"), standing("B")]
        #expect(
            strategy.opening(situation(sites, closed: 1, end: 98_000), settings()) == .wait(.pause(secondsLeft: 2)))
        #expect(strategy.opening(situation(sites, closed: 1, end: 96_000), settings()) == .open(cohort: ["A", "B"]))
    }

    @Test func `without a limit another round needs new labels`() {
        let few = [standing("A", new: 2), standing("B", new: 1)]
        #expect(
            strategy.opening(situation(few, closed: 1, end: 1000), settings())
                == .wait(.newLabels(found: 3, needed: 4)))
        #expect(strategy.opening(situation(few, closed: 0), settings()) == .open(cohort: ["A", "B"]))
        let enough = [standing("A", new: 2), standing("B", new: 2)]
        #expect(strategy.opening(situation(enough, closed: 1, end: 1000), settings()) == .open(cohort: ["A", "B"]))
    }

    @Test func `labels that a site reported before the last round ended are not counted as new`() {
        let stale = [standing("A", seen: 90_000), standing("B", seen: 90_000)]
        #expect(
            strategy.opening(situation(stale, closed: 1, end: 95_000), settings())
                == .wait(.sites(ready: 0, needed: 2, minimumLabels: 8)))
    }

    @Test func `a clock that was set back does not stop the rounds`() {
        let sites = [standing("A"), standing("B")]
        #expect(strategy.opening(situation(sites, closed: 1, end: 900_000), settings()) == .open(cohort: ["A", "B"]))
    }

    // MARK: Closing

    @Test func `a round closes as soon as its whole cohort has contributed`() {
        #expect(strategy.decision(round(["A", "B"]), settings(), nowMilliseconds: 1000) == .wait)
        #expect(strategy.decision(round(["A", "B", "C"]), settings(), nowMilliseconds: 1000) == .aggregate)
    }

    @Test func `at its deadline a round with a quorum closes`() {
        #expect(strategy.decision(round(["A", "C"]), settings(), nowMilliseconds: 59_999) == .wait)
        #expect(strategy.decision(round(["A", "C"]), settings(), nowMilliseconds: 60_000) == .aggregate)
    }

    @Test func `at its deadline a round without a quorum waits once more and is void then`() {
        #expect(
            strategy.decision(round(["A"]), settings(), nowMilliseconds: 61_000)
                == .extend(deadlineMilliseconds: 121_000))
        #expect(
            strategy.decision(round(["A"], extensions: 1), settings(), nowMilliseconds: 61_000)
                == .void(reason: "1 of 2 needed contributions came by the deadline"))
    }

    @Test func `a round whose cohort shrinks below the quorum is void at once`() {
        let decision = strategy.decision(round(["A"], cohort: ["A"]), settings(), nowMilliseconds: 1000)
        #expect(decision == .void(reason: "only 1 sites of the cohort are left, 2 are needed"))
    }

    @Test(arguments: [Round.State.aggregating, .closed, .void])
    func `nothing more is decided about a round that is not open`(state: Round.State) {
        var round = round(["A", "B", "C"])
        round.state = state
        #expect(strategy.decision(round, settings(), nowMilliseconds: 90_000) == .wait)
    }

    @Test func `the seconds left are rounded up and never negative`() {
        #expect(round().secondsLeft(atMilliseconds: 59_001) == 1)
        #expect(round().secondsLeft(atMilliseconds: 60_000) == 0)
        #expect(round().secondsLeft(atMilliseconds: 99_000) == 0)
    }

    // MARK: Admission

    func manifest(_ change: (inout DeltaManifest) -> Void = { _ in }) -> DeltaManifest {
        var manifest = TestPackage.manifest(.init(count: 100), round: 1, base: version.id)
        change(&manifest)
        return manifest
    }

    func judge(_ manifest: DeltaManifest, _ round: Round?, from site: String = "A") -> Admission {
        Admission.judge(manifest, from: site, round: round, labels: 1_000_001, largestBytes: 1000)
    }

    @Test func `a delta is judged by its manifest before any of its bytes`() {
        var closed = round(["B"])
        closed.state = .aggregating
        #expect(judge(manifest(), round()) == .take)
        #expect(judge(manifest(), nil) == .refuse(.unknownRound))
        #expect(judge(manifest(), closed) == .refuse(.roundClosed))
        #expect(judge(manifest(), round(), from: "D") == .refuse(.notInCohort))
        #expect(judge(manifest { $0.base = $0.hash }, round()) == .refuse(.wrongBase))
        #expect(judge(manifest { $0.codec = "int8" }, round()) == .refuse(.unknownCodec))
        for weight in [0, -1, 1_000_001, .max] {
            #expect(judge(manifest { $0.examples = weight }, round()) == .refuse(.badWeight))
        }
        for size in [-5, 0, 9, 1001, .max] {
            #expect(judge(manifest { $0.bytes = size }, round()) == .refuse(.wrongSize))
        }
    }

    @Test func `a repeat of an accepted delta is accepted again and another one of the same site is refused`() {
        var contributed = round()
        contributed.contributions["A"] = Contribution(site: "A", hash: manifest().hash, examples: 10)
        #expect(judge(manifest(), contributed) == .accepted)
        #expect(judge(manifest { $0.hash = version.id }, contributed) == .refuse(.repeatedRound))
        contributed.state = .closed
        #expect(judge(manifest(), contributed) == .accepted)
    }

    @Test func `settings that make no sense are named`() {
        #expect(RoundSettings().fault == nil)
        #expect(settings { $0.quorum = 0 }.fault?.contains("quorum") == true)
        #expect(settings { $0.learningRate = .nan }.fault?.contains("learning rate") == true)
        #expect(settings { $0.momentum = 1 }.fault?.contains("momentum") == true)
    }

    @Test func `a round trains as the package says unless the operator says otherwise`() {
        let defaults = TrainingDefaults(optimiser: .sgd, learningRate: 0.25, epochs: 3)
        let config = settings { $0.epochs = 7 }.config(round: 9, base: version, defaults: defaults)
        #expect(config.epochs == 7)
        #expect(config.optimiser == .sgd)
        #expect(config.learningRate == 0.25)
        #expect(config.seed == 9)
    }

    @Test func `a round does not wait for a site whose delta a screen kept out, and its next one is refused`() {
        var screened = round(["A", "B"])
        screened.outOfLine = ["C"]
        #expect(strategy.decision(screened, settings(), nowMilliseconds: 1000) == .aggregate)
        #expect(judge(manifest(), screened, from: "C") == .refuse(.outOfLine))
        screened.contributions["B"] = nil
        #expect(strategy.decision(screened, settings(), nowMilliseconds: 1000) == .wait)
        screened.outOfLine = ["B", "C"]
        #expect(
            strategy.decision(screened, settings(), nowMilliseconds: 1000)
                == .void(reason: "1 of 2 needed contributions are in line with the round"))
    }

    @Test func `a delta weighs no more than the labels that its site says it has`() {
        func judge(_ examples: Int) -> Admission {
            Admission.judge(
                manifest { $0.examples = examples }, from: "A", round: round(), labels: 20, largestBytes: 1000)
        }
        #expect(judge(20) == .take)
        #expect(judge(21) == .refuse(.badWeight))
    }

    @Test func `rounds open no oftener than the interval says`() {
        let sites = [standing("A"), standing("B")]
        var known = situation(sites, closed: 1, end: 90_000)
        known.lastOpeningMilliseconds = 80_000
        #expect(strategy.opening(known, settings { $0.intervalSeconds = 30 }) == .wait(.pause(secondsLeft: 9)))
        #expect(strategy.opening(known, settings { $0.intervalSeconds = 20 }) == .open(cohort: ["A", "B"]))
        known.lastOpeningMilliseconds = 900_000
        #expect(strategy.opening(known, settings { $0.intervalSeconds = 30 }) == .open(cohort: ["A", "B"]))
    }

    @Test func `settings of the first release are read and what they lack has its default`() throws {
        let text = """
            {"deadlineSeconds":77,"extensions":1,"minimumLabels":3,"newLabels":8,"pauseSeconds":5,"presenceSeconds":60,\
            "quorum":4,"roundLimit":0,"optimiser":"sgd"}
            """
        let old = try JSONDecoder().decode(RoundSettings.self, from: Data(text.utf8))
        #expect(old.quorum == 4 && old.deadlineSeconds == 77 && old.optimiser == .sgd && old.epochs == nil)
        #expect(old.largestShare == 0.5 && old.intervalSeconds == 60 && old.keptRounds == 200)
        #expect(try JSONDecoder().decode(RoundSettings.self, from: JSONEncoder().encode(old)) == old)
    }
}
