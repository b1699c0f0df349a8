// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Statistics
import Testing
import Triage
import WorkerStore

/// 30 studies with the finding that score 0.31 … 0.60, and 30 without it that score 0.01 … 0.30 but for five at 0.55.
private let scored: [ScoredStudy] =
    (1...30).map { ScoredStudy(probability: 0.3 + Double($0) / 100, isPresent: true) }
    + (1...30).map { ScoredStudy(probability: $0 > 25 ? 0.55 : Double($0) / 100, isPresent: false) }

@Suite struct CalibrationTests {
    @Test func `A sensitivity gives the highest threshold that reaches it, in words of 100 studies`() throws {
        let calibration = try Calibration(scored, goal: .sensitivity(0.9), minimumPerClass: 20)
        #expect(calibration.threshold == 0.3 + 4.0 / 100)
        #expect(
            calibration.figures
                == OperatingFigures(positives: 30, negatives: 30, truePositives: 27, trueNegatives: 25))
        let words = calibration.words(finding: "Intracranial haemorrhage").joined(separator: " ")
        #expect(words.contains("Of 100 studies with intracranial haemorrhage it flags 90 (74–97),"))
        #expect(words.contains("of 100 studies without it 17 (7–34)."))
        #expect(words.contains("flatter a little"))
    }

    @Test func `A threshold that was given flatters nobody`() throws {
        let calibration = try Calibration(scored, goal: .threshold(0.58), minimumPerClass: 20)
        #expect(calibration.threshold == 0.58 && calibration.figures.trueNegatives == 30)
        #expect(calibration.leftOut == nil)
        #expect(!calibration.words(finding: "Bleed").joined().contains("flatter"))
    }

    @Test func `Too few labels of one class are refused, and the refusal counts them`() {
        let few = Array(scored.prefix(49))
        #expect(throws: CalibrationRefusal.tooFewLabels(positives: 30, negatives: 19, minimumPerClass: 20)) {
            try Calibration(few, goal: .sensitivity(0.9), minimumPerClass: 20)
        }
        #expect(throws: CalibrationRefusal.tooFewLabels(positives: 0, negatives: 0, minimumPerClass: 1)) {
            try Calibration([], goal: .threshold(0.5), minimumPerClass: 0)
        }
    }

    @Test func `What no threshold reaches is refused`() {
        let saturated = [true, true, false, false].map { ScoredStudy(probability: 1, isPresent: $0) }
        #expect(throws: CalibrationRefusal.outOfReach(.specificity(0.5))) {
            try Calibration(saturated, goal: .specificity(0.5), minimumPerClass: 1)
        }
    }
}

@Suite struct CarriedOperatingPointTests {
    /// A version whose probabilities are half as high.
    private let halved = scored.map { ScoredStudy(probability: $0.probability / 2, isPresent: $0.isPresent) }

    private func point(_ goal: CalibrationGoal) throws -> OperatingPointRow {
        OperatingPointRow(
            try Calibration(scored, goal: goal, minimumPerClass: 20), version: version("one"), finding: "bleed",
            origin: .calibrated, minimumPerClass: 20, by: "admin", at: 1)
    }

    @Test func `A goal is chosen anew on the next version's probabilities`() throws {
        let next = try #require(
            try point(.sensitivity(0.9)).carried(to: version("two"), old: scored, new: halved, at: 2))
        #expect(next.origin == .carried && next.version == version("two") && next.at == 2)
        #expect(next.threshold == (0.3 + 4.0 / 100) / 2)
        #expect(next.goal == .sensitivity(0.9) && next.calibrationLabels == 60)
    }

    @Test func `A threshold by hand is carried by the sensitivity that it had`() throws {
        let given = try point(.threshold(0.455))
        #expect(given.calibrationLabels == nil)
        let next = try #require(given.carried(to: version("two"), old: scored, new: halved, at: 2))
        #expect(next.goal == .sensitivity(0.5))
        #expect(next.threshold == (0.3 + 16.0 / 100) / 2)
    }

    @Test func `With too few labels the package's threshold takes over, and the reason is kept`() throws {
        let next = try #require(
            try point(.sensitivity(0.9)).carried(
                to: version("two"), old: scored, new: Array(halved.prefix(40)), at: 2))
        #expect(next.origin == .lost && next.threshold == nil && next.calibrationLabels == nil)
        #expect(next.reason.contains("10 say absent"))
    }

    @Test func `The package's own threshold is not carried`() {
        let reset = OperatingPointRow(version: version("one"), finding: "bleed", origin: .reset, at: 1)
        #expect(reset.carried(to: version("two"), old: scored, new: halved, at: 2) == nil)
    }
}
