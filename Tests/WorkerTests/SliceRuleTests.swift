// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Testing
import Triage

@Suite struct SliceRuleTests {
    private func evidence(_ rule: SliceRule, _ probabilities: [Double]) -> FindingEvidence {
        var evidence = FindingEvidence(rule: rule)
        for (index, probability) in probabilities.enumerated() {
            evidence.add(
                .init(sopInstanceUID: "1.\(index)", gatewayInstance: "g\(index)", frame: 0, probability: probability))
        }
        return evidence
    }

    @Test func `The maximum rule gives the highest slice`() {
        #expect(evidence(.maximum, [0.2, 0.9, 0.4]).probability == 0.9)
    }

    @Test func `The mean of the top k uses all slices when there are fewer`() {
        #expect(abs(evidence(.meanOfTop(count: 3), [0.2, 0.9, 0.4, 0.8]).probability - 0.7) < 1e-12)
        #expect(abs(evidence(.meanOfTop(count: 3), [0.2, 0.4]).probability - 0.3) < 1e-12)
    }

    @Test func `Noisy-or treats slices as independent chances`() {
        #expect(abs(evidence(.noisyOr, [0.5, 0.5, 0.2]).probability - 0.8) < 1e-12)
        #expect(evidence(.noisyOr, [1, 0.5]).probability > 0.999_999)
    }

    @Test(arguments: [SliceRule.maximum, .meanOfTop(count: 4), .noisyOr])
    func `Adding slice by slice gives what the rule says about all slices at once`(rule: SliceRule) {
        let probabilities = (0..<50).map { Double(($0 * 37) % 50) / 60 }
        let expected = rule.probability(of: probabilities) ?? -1
        #expect(abs(evidence(rule, probabilities).probability - expected) < 1e-9)
        #expect(abs(evidence(rule, probabilities.reversed()).probability - expected) < 1e-9)
    }

    @Test func `No slices give probability 0 and a value that is no number does not hide the others`() {
        #expect(evidence(.maximum, []).probability == 0)
        #expect(evidence(.maximum, [.nan, 0.6]).probability == 0.6)
        #expect(evidence(.noisyOr, [.nan, 0.5]).probability == 0.5)
    }

    @Test func `The evidence names the most telling slices first, whatever the order of arrival`() {
        let one = evidence(.maximum, [0.1, 0.8, 0.3, 0.9]).top.map(\.gatewayInstance)
        #expect(one == ["g3", "g1", "g2"])
    }
}
