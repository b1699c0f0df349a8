// SPDX-License-Identifier: GPL-3.0-or-later
import Statistics
import Testing

func studies(_ pairs: (Double, Bool)...) -> [ScoredStudy] {
    pairs.map { ScoredStudy(probability: $0.0, isPresent: $0.1) }
}

@Suite struct ProportionTests {
    /// Newcombe 1998, table I, method 3.
    @Test(arguments: [
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718),
    ])
    func `The interval is the published one`(successes: Int, trials: Int, low: Double, high: Double) throws {
        let interval = try #require(Proportion(successes, of: trials)).interval
        #expect(abs(interval.lowerBound - low) < 0.00005)
        #expect(abs(interval.upperBound - high) < 0.00005)
    }

    @Test func `All of all has a lower bound below 1, and an upper one of 1`() throws {
        let interval = try #require(Proportion(20, of: 20)).interval
        #expect(interval.upperBound == 1 && abs(interval.lowerBound - (1 - 0.1611)) < 0.00005)
    }

    @Test func `Nothing is said without trials, or with more successes than trials`() {
        #expect(Proportion(0, of: 0) == nil)
        #expect(Proportion(3, of: 2) == nil)
        #expect(Proportion(-1, of: 2) == nil)
    }
}

@Suite struct AreaUnderCurveTests {
    private func area(_ pairs: (Double, Bool)...) -> Double? {
        AreaUnderCurve(pairs.map { ScoredStudy(probability: $0.0, isPresent: $0.1) })?.value
    }

    @Test func `The area is the chance that a positive study scores higher, ties counted half`() {
        #expect(area((0.9, true), (0.1, false)) == 1)
        #expect(area((0.1, true), (0.9, false)) == 0)
        #expect(area((0.5, true), (0.5, false)) == 0.5)
        #expect(area((0.8, true), (0.4, true), (0.6, false), (0.4, false)) == 0.625)
        #expect(area((0.8, true)) == nil)
        #expect(area((.nan, true), (0.1, false), (.nan, false)) == 0.25)
    }

    @Test func `An area of 1 with few studies has an interval, which mirrors that of an area of 0`() throws {
        let best = (0..<10).map { (number: Int) in ScoredStudy(probability: Double(number), isPresent: number >= 5) }
        let worst = (0..<10).map { (number: Int) in ScoredStudy(probability: Double(number), isPresent: number < 5) }
        let high = try #require(AreaUnderCurve(best)).interval
        let low = try #require(AreaUnderCurve(worst)).interval
        #expect(high.upperBound == 1 && high.lowerBound > 0.5 && high.lowerBound < 0.8)
        #expect(abs(low.upperBound - (1 - high.lowerBound)) < 1e-9 && low.lowerBound == 0)
    }

    @Test func `Each end of the interval is 1.96 of its own standard errors away`() throws {
        let all = (0..<60).map { (number: Int) -> ScoredStudy in
            let value = number * 37 % 60
            return ScoredStudy(probability: Double(value), isPresent: number % 3 == 0 || value > 45)
        }
        let area = try #require(AreaUnderCurve(all))
        let (m, n) = (Double(area.positives), Double(area.negatives))
        let other = (m + n) / 2 - 1
        for end in [area.interval.lowerBound, area.interval.upperBound] {
            let spread: Double = 1 + other * (1 - end) / (2 - end) + other * end / (1 + end)
            let variance: Double = end * (1 - end) * spread / (m * n)
            #expect(abs(abs(area.value - end) / variance.squareRoot() - 1.959964) < 1e-5)
        }
    }
}

@Suite struct ROCCurveTests {
    /// Six studies by hand; 0.6 is the probability of one of each class.
    private let curve = ROCCurve(
        studies((0.9, true), (0.8, false), (0.6, true), (0.6, false), (0.3, true), (0.1, false)))

    @Test func `Each observed probability is a point, equal ones are one`() {
        #expect(curve.points.map(\.threshold) == [0.9, 0.8, 0.6, 0.3, 0.1])
        #expect(curve.points.map(\.truePositives) == [1, 1, 2, 3, 3])
        #expect(curve.points.map(\.falsePositives) == [0, 1, 2, 2, 3])
    }

    @Test func `Figures at a threshold count what is at or above it as flagged`() {
        let at = curve.figures(at: 0.6)
        #expect(at == OperatingFigures(positives: 3, negatives: 3, truePositives: 2, trueNegatives: 1))
        let between = curve.figures(at: 0.7)
        #expect(between == OperatingFigures(positives: 3, negatives: 3, truePositives: 1, trueNegatives: 2))
        #expect(curve.figures(at: 0.95).truePositives == 0)
        #expect(curve.figures(at: 0).trueNegatives == 0)
    }

    @Test func `A sensitivity is reached by the highest threshold that does it`() {
        #expect(curve.threshold(for: .sensitivity(0.3)) == 0.9)
        #expect(curve.threshold(for: .sensitivity(0.5)) == 0.6, "ties are not divided")
        #expect(curve.threshold(for: .sensitivity(1)) == 0.3)
    }

    @Test func `A specificity is reached by the lowest threshold that does it`() {
        #expect(curve.threshold(for: .specificity(0.3)) == 0.3)
        #expect(curve.threshold(for: .specificity(0.6)) == 0.8)
        #expect(curve.threshold(for: .specificity(1)) == 0.9)
    }

    @Test func `Where the highest probability is a negative study's, full specificity lies just above it`() throws {
        let curve = ROCCurve(studies((0.9, false), (0.5, true)))
        let threshold = try #require(curve.threshold(for: .specificity(1)))
        #expect(threshold > 0.9 && threshold < 0.9000001)
        #expect(ROCCurve(studies((1, false), (0.5, true))).threshold(for: .specificity(1)) == nil)
    }

    @Test func `A share of so many is not missed by rounding`() {
        let curve = ROCCurve((1...20).map { ScoredStudy(probability: Double($0) / 20, isPresent: true) })
        #expect(curve.threshold(for: .sensitivity(0.95)) == 0.1)
    }

    @Test func `A study whose probability is no number is never flagged`() {
        let curve = ROCCurve(studies((.nan, true), (0.5, true), (.nan, false)))
        #expect(curve.positives == 2 && curve.negatives == 1)
        #expect(curve.threshold(for: .sensitivity(0.5)) == 0.5)
        #expect(curve.threshold(for: .sensitivity(1)) == nil)
        #expect(
            curve.figures(at: 0) == OperatingFigures(positives: 2, negatives: 1, truePositives: 1, trueNegatives: 1))
    }

    @Test func `A missing class reaches no goal`() {
        #expect(ROCCurve(studies((0.5, true))).threshold(for: .specificity(0.5)) == nil)
        #expect(ROCCurve([]).threshold(for: .sensitivity(0)) == nil)
    }

    @Test func `Left out, each study is judged by the threshold of the others`() {
        // Full sensitivity: without the lowest positive (0.3) the others choose 0.6, and miss it.
        #expect(
            curve.leaveOneOut(.sensitivity(1))
                == OperatingFigures(positives: 3, negatives: 3, truePositives: 2, trueNegatives: 1))
        // By the definition, with a curve made anew for each study.
        let all = (0..<40).map { (number: Int) -> ScoredStudy in
            ScoredStudy(probability: Double(number * 7 % 31) / 31, isPresent: number * 5 % 11 > 5)
        }
        for goal in [ROCCurve.Goal.sensitivity(0.9), .sensitivity(0.5), .specificity(0.8), .specificity(1)] {
            var expected = OperatingFigures(
                positives: all.count { $0.isPresent }, negatives: all.count { !$0.isPresent }, truePositives: 0,
                trueNegatives: 0)
            for (index, study) in all.enumerated() {
                var others = all
                others.remove(at: index)
                guard let threshold = ROCCurve(others).threshold(for: goal) else { continue }
                if study.isPresent, study.probability >= threshold { expected.truePositives += 1 }
                if !study.isPresent, study.probability < threshold { expected.trueNegatives += 1 }
            }
            #expect(ROCCurve(all).leaveOneOut(goal) == expected)
        }
    }
}
