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
}
