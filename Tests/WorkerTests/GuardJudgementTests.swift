// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Testing
import Triage

@Suite struct GuardJudgementTests {
    private let rule = GuardRule(margin: 0.02, minimumLabelsPerClass: 2)

    /// Cases whose AUC for the live version is 1, and for the candidate as given by its scores.
    private func cases(_ candidate: [Double], present: [Bool], finding: String = "f") -> [GuardJudgement.Case] {
        zip(candidate, present).map {
            GuardJudgement.Case(finding: finding, present: $1, candidate: $0, live: $1 ? 0.9 : 0.1)
        }
    }

    @Test func `A version that is as good goes live`() {
        let judgement = GuardJudgement(
            cases: cases([0.6, 0.7, 0.2, 0.3], present: [true, true, false, false]), rule: rule)
        #expect(judgement.decision == .live)
        #expect(judgement.candidateAUC == 1)
    }

    @Test func `A version that is worse by more than the margin is refused`() {
        let judgement = GuardJudgement(
            cases: cases([0.6, 0.25, 0.2, 0.3], present: [true, true, false, false]), rule: rule)
        #expect(judgement.decision == .refused)
        #expect(judgement.candidateAUC == 0.75)
        #expect(judgement.liveAUC == 1)
    }

    @Test func `A difference of exactly the margin is allowed`() {
        let judgement = GuardJudgement(
            cases: cases([0.6, 0.25, 0.2, 0.3], present: [true, true, false, false]),
            rule: GuardRule(margin: 0.25, minimumLabelsPerClass: 2))
        #expect(judgement.decision == .live)
    }

    @Test func `With too few labels of a class the version waits`() {
        let judgement = GuardJudgement(
            cases: cases([0.6, 0.2, 0.3, 0.4], present: [true, false, false, false]), rule: rule)
        #expect(judgement.decision == .waiting)
        #expect(judgement.candidateAUC == nil)
    }

    @Test func `A probability that is no number is refused`() {
        let judgement = GuardJudgement(
            cases: cases([0.6, .nan, 0.2, 0.3], present: [true, true, false, false]),
            rule: GuardRule(margin: 1, minimumLabelsPerClass: 2))
        #expect(judgement.decision == .refused)
    }

    @Test func `Findings with enough labels are averaged, the others left out`() {
        let judgement = GuardJudgement(
            cases: cases([0.6, 0.7, 0.2, 0.3], present: [true, true, false, false], finding: "a")
                + cases([0.6, 0.25, 0.2, 0.3], present: [true, true, false, false], finding: "b")
                + cases([0.1], present: [true], finding: "c"), rule: rule)
        #expect(judgement.candidateAUC == 0.875)
        #expect(judgement.labels == 9)
    }

    // MARK: What a radiologist would notice

    private let thresholds = ["f": GuardJudgement.Thresholds(candidate: 0.5, live: 0.5)]

    /// Labelled studies as (present, flagged by the live version, flagged by the new one); the order of the new one's
    /// probabilities is right, so that its AUC is 1.
    private func labelled(_ present: Bool, _ count: Int, live: Int, candidate: Int) -> [GuardJudgement.Case] {
        (0..<count).map { index in
            GuardJudgement.Case(
                finding: "f", present: present,
                candidate: index < candidate ? (present ? 0.9 : 0.55) : (present ? 0.4 : 0.1),
                live: index < live ? 0.9 : 0.1)
        }
    }

    private func recent(_ count: Int, live: Int, candidate: Int) -> [GuardJudgement.Recent] {
        (0..<count).map {
            GuardJudgement.Recent(
                finding: "f", candidate: ($0 < candidate ? 0.9 : 0.2) + Double($0) / 1000, live: $0 < live ? 0.8 : 0.1)
        }
    }

    private func judge(
        _ cases: [GuardJudgement.Case], _ recent: [GuardJudgement.Recent] = []
    ) -> [GuardJudgement.Fault.Reason] {
        GuardJudgement(cases: cases, recent: recent, thresholds: thresholds, rule: rule).faults.map(\.reason)
    }

    @Test func `A version that misses what the live one finds is refused whatever its AUC`() {
        let cases = labelled(true, 10, live: 10, candidate: 5) + labelled(false, 10, live: 1, candidate: 0)
        let judgement = GuardJudgement(cases: cases, thresholds: thresholds, rule: rule)
        #expect(judgement.candidateAUC == 1)
        #expect(judgement.decision == .refused && judgement.faults.map(\.reason) == [.sensitivity])
        #expect(judgement.figures.liveSensitivity == 1 && judgement.figures.candidateSensitivity == 0.5)
    }

    @Test func `A version that flags what the live one does not is refused`() {
        let cases = labelled(true, 10, live: 8, candidate: 10) + labelled(false, 10, live: 0, candidate: 6)
        #expect(judge(cases) == [.specificity])
    }

    @Test func `One study lost of many is no fall that the labels show`() {
        #expect(
            judge(labelled(true, 10, live: 10, candidate: 9) + labelled(false, 10, live: 1, candidate: 1)).isEmpty)
    }

    @Test func `Sensitivity that a live version has which flags everything is not lost`() {
        #expect(
            judge(labelled(true, 10, live: 10, candidate: 6) + labelled(false, 10, live: 10, candidate: 0)).isEmpty)
    }

    @Test func `A threshold that moves with the version is judged by its own`() {
        let cases = labelled(true, 10, live: 10, candidate: 5) + labelled(false, 10, live: 1, candidate: 0)
        let moved = ["f": GuardJudgement.Thresholds(candidate: 0.3, live: 0.5)]
        #expect(GuardJudgement(cases: cases, thresholds: moved, rule: rule).decision == .live)
    }

    @Test func `A bias of -30 is refused without a single label`() {
        let blind = (0..<12).map {
            GuardJudgement.Recent(finding: "f", candidate: 1e-13 * Double($0), live: Double($0) / 12)
        }
        let judgement = GuardJudgement(cases: [], recent: blind, thresholds: thresholds, rule: rule)
        #expect(judgement.decision == .refused)
        #expect(judgement.faults.map(\.reason).contains(.constant))
        // Where the live version says the same about everything there is nothing to lose.
        let both = blind.map { GuardJudgement.Recent(finding: "f", candidate: $0.candidate, live: 0.3) }
        #expect(judge([], both).isEmpty)
    }

    @Test(arguments: [(30, 0), (30, 5), (30, 64), (4, 20), (58, 62)])
    func `A share of flagged studies that changes beyond belief is refused without a label`(
        _ live: Int, _ candidate: Int
    ) {
        let expected: [GuardJudgement.Fault.Reason] = (live, candidate) == (58, 62) ? [] : [.flaggedShare]
        #expect(judge([], recent(64, live: live, candidate: candidate)) == expected)
    }

    @Test func `A share that changes little, or on few studies, or from nothing, is believed`() {
        #expect(judge([], recent(64, live: 20, candidate: 12)).isEmpty)
        #expect(judge([], recent(64, live: 2, candidate: 0)).isEmpty)
        #expect(judge([], recent(9, live: 9, candidate: 0)).isEmpty)
        #expect(judge([], recent(64, live: 0, candidate: 30)).isEmpty)
        #expect(judge([], recent(64, live: 64, candidate: 30)).isEmpty)
    }

    @Test func `A share that the labels explain is believed`() {
        let cases = labelled(true, 10, live: 1, candidate: 10) + labelled(false, 10, live: 0, candidate: 0)
        #expect(judge(cases, recent(64, live: 3, candidate: 32)).isEmpty)
        #expect(judge([], recent(64, live: 3, candidate: 32)) == [.flaggedShare])
    }

    @Test func `A version with too few labels waits when nothing else is against it`() {
        let judgement = GuardJudgement(
            cases: [], recent: recent(64, live: 20, candidate: 22), thresholds: thresholds, rule: rule)
        #expect(judgement.decision == .waiting)
        #expect(judgement.figures.recentStudies == 64 && judgement.figures.liveFlagged == 20.0 / 64)
    }

    @Test func `A rule is never looser than the site's own`() {
        let package = GuardRule(margin: 1, minimumLabelsPerClass: 1, tolerance: 1)
        let floor = GuardFloor(largestMargin: 0.05, largestTolerance: 0.1, minimumLabelsPerClass: 5)
        #expect(package.bounded(by: floor) == GuardRule(margin: 0.05, minimumLabelsPerClass: 5, tolerance: 0.1))
        #expect(rule.bounded(by: floor) == GuardRule(margin: 0.02, minimumLabelsPerClass: 5, tolerance: 0.05))
        #expect(rule.bounded(by: GuardFloor()) == rule)
    }
}
