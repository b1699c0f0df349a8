// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage
import Rounds
import Tensors
import Testing

@Suite struct ScreeningTests {
    let config = RoundConfig(
        round: 1, base: ModelVersion(package: Hash(of: .init("p".utf8)), parameters: Hash(of: .init("q".utf8))),
        secondsLeft: 60, minimumLabels: 8, epochs: 2, batchStudies: 4, optimiser: .adam, learningRate: 0.001,
        weightDecay: 1e-4, momentum: 0.9, seed: 1)

    let base = ScreeningTests.map { index in 0.1 * Float(index % 7 - 3) }

    static func map(_ value: (Int) -> Float) -> TensorMap {
        TensorMap([
            "encoder.weight": Tensor(shape: [40, 5], values: (0..<200).map(value)),
            "head.bias": Tensor(shape: [1], values: [value(200)]),
        ])
    }

    /// Mostly the same way at every site, as training on the same finding goes.
    func honest(_ site: Int, size: Float = 0.002) -> TensorMap {
        Self.map { index in
            var bits = UInt32(truncatingIfNeeded: index &* 2_654_435_761 &+ site &* 40_503)
            bits ^= bits >> 15
            bits = bits &* 2_246_822_519
            return size * ((index % 3 == 0 ? 0.5 : -0.5) + Float(bits % 1000) / 1000 - 0.5)
        }
    }

    func scaled(_ map: TensorMap, _ factor: Float) -> TensorMap {
        TensorMap(map.tensors.mapValues { Tensor(shape: $0.shape, values: $0.values.map { $0 * factor }) })
    }

    func measure(_ delta: TensorMap) throws -> UpdateMeasure {
        try UpdateMeasure(of: WatchedSource(delta), base: WatchedSource(base), valuesPerPiece: 16)
    }

    func bound(_ delta: TensorMap, examples: Int = 20, cohort: [Int] = [20, 20]) throws -> OutOfLine? {
        RoundSettings().bounds.judge(
            try measure(delta), steps: StepBound(config, examples: examples, cohort: cohort))
    }

    func screen(_ deltas: [String: TensorMap], examples: [String: Int] = [:]) throws -> [String: OutOfLine] {
        var screening = RoundSettings().screening
        screening.valuesInMemory = 64
        return try screening.run(
            base: WatchedSource(base),
            contributions: deltas.map {
                WeightedDelta(
                    site: $0.key, examples: examples[$0.key] ?? 20, weight: 0, source: WatchedSource($0.value))
            })
    }

    // MARK: One delta by itself

    @Test func `a delta that training could have made is in line`() throws {
        #expect(try bound(honest(1)) == nil)
        #expect(try bound(TensorMap(["head.bias": Tensor(shape: [1], values: [0.005])])) == nil)
    }

    @Test func `a bias of -30 is out of line, whatever the number of examples it claims`() throws {
        var blind = scaled(honest(1), 0)
        blind.tensors["head.bias"] = Tensor(shape: [1], values: [-30])
        for examples in [20, 1_000_000] {
            let found = try #require(try bound(blind, examples: examples, cohort: [20, 1_000_000]))
            #expect(found.tensor == "head.bias")
            #expect(found.found == 30)
            #expect(found.detail["screen"] == "step")
        }
    }

    @Test func `one value that is far off hides in no norm`() throws {
        var values = try #require(honest(1).tensors["encoder.weight"]).values
        values[77] = 0.5
        var delta = honest(1)
        delta.tensors["encoder.weight"] = Tensor(shape: [40, 5], values: values)
        #expect(try bound(delta)?.screen == .step)
    }

    @Test func `a site with many studies goes further than one with few`() throws {
        let far = honest(1, size: 0.05)
        #expect(try bound(far) != nil)
        #expect(try bound(far, examples: 150, cohort: [20, 150]) == nil)
    }

    @Test func `SGD is bounded by its clipped gradient, and where that says little by the base version`() throws {
        var sgd = config
        sgd.optimiser = .sgd
        sgd.learningRate = 0.1
        let steps = StepBound(sgd, examples: 20, cohort: [20])
        #expect(RoundSettings().bounds.judge(try measure(honest(1, size: 0.1)), steps: steps) == nil)
        #expect(RoundSettings().bounds.judge(try measure(honest(1, size: 20)), steps: steps)?.screen == .change)
    }

    // MARK: Together

    @Test func `honest sites that differ are all in line`() throws {
        var deltas = Dictionary(uniqueKeysWithValues: (0..<5).map { ("site-\($0)", honest($0)) })
        deltas["large"] = honest(6, size: 0.02)
        deltas["other patients"] = Self.map { 0.001 * (($0 / 5) % 2 == 0 ? 1 : -1) }
        deltas["nothing new"] = scaled(honest(7), 0.01)
        #expect(try screen(deltas, examples: ["large": 200]).isEmpty)
    }

    @Test func `a delta that is a hundred times as long is out of line and nobody else`() throws {
        let deltas = ["a": honest(1), "b": honest(2), "c": honest(3), "evil": scaled(honest(4), 100)]
        let found = try screen(deltas)
        #expect(found.keys.sorted() == ["evil"])
        #expect(found["evil"]?.screen == .norm)
    }

    @Test func `a delta with its sign turned round is out of line and nobody else`() throws {
        for count in 2...6 {
            var deltas = Dictionary(uniqueKeysWithValues: (0..<count).map { ("site-\($0)", honest($0)) })
            deltas["evil"] = scaled(honest(9), -1)
            let found = try screen(deltas)
            #expect(found.keys.sorted() == ["evil"])
            #expect(found["evil"]?.screen == .cosine)
        }
    }

    @Test func `of two deltas nobody can say which one is out of line`() throws {
        #expect(try screen(["a": honest(1), "evil": scaled(honest(2), -1)]).isEmpty)
    }

    @Test func `deltas of zeros are in line and have no direction`() throws {
        let zeros = scaled(honest(1), 0)
        #expect(try screen(["a": zeros, "b": zeros, "c": zeros]).isEmpty)
        #expect(try screen(["a": zeros, "b": zeros, "c": honest(1, size: 0.0005)]).isEmpty)
    }

    @Test func `one tensor that is far longer than the others' is out of line`() throws {
        var evil = honest(4)
        evil.tensors["head.bias"] = Tensor(shape: [1], values: [2])
        let found = try screen(["a": honest(1), "b": honest(2), "c": honest(3), "evil": evil])
        #expect(found.keys.sorted() == ["evil"])
    }

    // MARK: Weights

    @Test(arguments: [
        (["a": 10, "b": 30], 1.0, ["a": 0.25, "b": 0.75]), (["a": 10, "b": 30], 0.5, ["a": 0.5, "b": 0.5]),
        (["a": 10, "b": 30], 0.2, ["a": 0.5, "b": 0.5]), (["a": 7], 0.5, ["a": 1]),
        (["a": 10, "b": 30, "c": 960], 0.5, ["a": 0.125, "b": 0.375, "c": 0.5]),
        (["a": 1, "b": 500, "c": 499], 0.4, ["a": 0.2, "b": 0.4, "c": 0.4]),
        (["a": 1_000_000, "b": 1, "c": 1, "d": 2], 0.25, ["a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25]),
    ]) func `no site counts more than its share`(
        _ examples: [String: Int], _ share: Double, _ expected: [String: Double]
    ) {
        let shares = ContributionWeights.shares(examples, largestShare: share)
        #expect(shares.keys.sorted() == expected.keys.sorted())
        for (site, weight) in expected { #expect(abs((shares[site] ?? 0) - weight) < 1e-12) }
        #expect(abs(shares.values.reduce(0, +) - 1) < 1e-12)
    }

    // MARK: Labels

    @Test func `labels are new once, whatever a site claims`() {
        func said(_ training: Int, _ new: Int, ever: Int? = nil) -> SiteState.PackageState {
            .init(
                package: config.base.package, live: config.base.id, trainingLabels: training, newLabels: new,
                heldOutLabels: 5, labelledStudies: ever)
        }
        #expect(LabelCount.new(said(100, 1_000_000_000), counted: 0) == 100)
        #expect(LabelCount.new(said(100, 1_000_000_000), counted: 100) == 0)
        #expect(LabelCount.new(said(103, 1_000_000_000), counted: 100) == 3)
        #expect(LabelCount.new(said(103, 2), counted: 100) == 2)
        #expect(LabelCount.new(said(90, 90), counted: 100) == 0)
        #expect(LabelCount.new(said(100, 5, ever: 305), counted: 300) == 5)
        #expect(LabelCount.new(said(1_000_000_000, 1_000_000_000), counted: 0) == 1_000_000)
    }

    // MARK: Versions

    @Test func `a version is refused by most when more than half say so and a quorum has decided`() {
        func most(_ refused: Int, _ live: Int) -> Bool {
            VersionStanding(live: live, refused: refused).isRefusedByMost(quorum: 2)
        }
        #expect(!most(0, 0) && !most(1, 0) && !most(1, 1) && !most(2, 2) && !most(2, 3))
        #expect(most(2, 0) && most(2, 1) && most(3, 2))
        #expect(VersionStanding(live: 0, refused: 1).isRefusedByMost(quorum: 1))
    }

    @Test func `rounds start from the newest version that most have not refused`() {
        let (bad, good, unknown) = (
            VersionStanding(live: 0, refused: 3), VersionStanding(live: 3, refused: 0),
            VersionStanding(live: 0, refused: 0)
        )
        #expect(VersionStanding.start(of: [good, bad], quorum: 2) == 0)
        #expect(VersionStanding.start(of: [unknown, bad], quorum: 2) == 0)
        #expect(VersionStanding.start(of: [bad, bad, good, good], quorum: 2) == 2)
        #expect(VersionStanding.start(of: [bad, bad], quorum: 2) == 1)
        #expect(VersionStanding.start(of: [bad], quorum: 2) == 0)
    }
}
