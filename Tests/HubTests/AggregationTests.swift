// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Rounds
import Synchronization
import Tensors
import Testing

@Suite struct AggregationTests {
    func aggregate(
        _ base: TensorMap, _ deltas: [(String, Int, TensorMap)], valuesPerPiece: Int = 1 << 18
    ) throws -> TensorMap {
        var result: [String: [Float]] = [:]
        let weights = ContributionWeights.shares(
            Dictionary(uniqueKeysWithValues: deltas.map { ($0.0, $0.1) }), largestShare: 1)
        try Aggregation(WeightedMean(), valuesPerPiece: valuesPerPiece).run(
            base: WatchedSource(base),
            contributions: deltas.map {
                WeightedDelta(
                    site: $0.0, examples: $0.1, weight: weights[$0.0] ?? .nan, source: WatchedSource($0.2))
            }
        ) { piece, values in
            #expect(result[piece.name, default: []].count == piece.range.lowerBound)
            result[piece.name, default: []] += values
        }
        return TensorMap(
            Dictionary(
                uniqueKeysWithValues: base.tensors.map { name, tensor in
                    (name, Tensor(shape: tensor.shape, values: result[name] ?? []))
                }))
    }

    func random(_ seed: UInt64, shapes: [String: [Int]]) -> TensorMap {
        var state = seed
        func next() -> Float {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int64(bitPattern: state) >> 32) / Float(1 << 31)
        }
        return TensorMap(
            Dictionary(
                uniqueKeysWithValues: shapes.sorted { $0.key < $1.key }.map { name, shape in
                    (name, Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in next() }))
                }))
    }

    @Test func `the new parameters are the base plus the deltas weighted by examples`() throws {
        let new = try aggregate(
            TestPackage.base, [("A", 30, TestPackage.delta(1)), ("B", 10, TestPackage.delta(-3))])
        #expect(new.tensors["encoder.weight"]?.values == [1, 2, 3, 4, 5, 6])
        let other = try aggregate(
            TestPackage.base, [("A", 1, TestPackage.delta(2)), ("B", 3, TestPackage.delta(4))])
        #expect(other.tensors["head.bias"]?.values == [4, 3])
        #expect(other.tensors["encoder.weight"]?.values == [4.5, 5.5, 6.5, 7.5, 8.5, 9.5])
    }

    @Test func `averaging parameters and averaging deltas is the same`() throws {
        let shapes = ["a": [7, 5], "b": [11]]
        let base = random(1, shapes: shapes)
        let sites = [
            ("A", 17, random(2, shapes: shapes)), ("B", 4, random(3, shapes: shapes)),
            ("C", 90, random(4, shapes: shapes)),
        ]
        let new = try aggregate(base, try sites.map { ($0.0, $0.1, try $0.2.difference(minus: base)) })
        let total = 17.0 + 4 + 90
        for name in base.names {
            let values = try #require(new.tensors[name]?.values)
            for index in values.indices {
                let mean = sites.reduce(0.0) {
                    $0 + Double($1.1) / total * Double($1.2.tensors[name]?.values[index] ?? .nan)
                }
                #expect(abs(Double(values[index]) - mean) < 1e-6)
            }
        }
    }

    @Test func `the order of arrival and the size of the pieces do not change a single bit`() throws {
        let shapes = ["z": [129], "a.b": [3, 50], "scalar": []]
        let base = random(5, shapes: shapes)
        let deltas = (0..<7).map { ("site-\($0)", 3 + $0 * $0, random(UInt64(100 + $0), shapes: shapes)) }
        let first = Safetensors.encode(try aggregate(base, deltas))
        #expect(Safetensors.encode(try aggregate(base, deltas.reversed())) == first)
        #expect(
            Safetensors.encode(try aggregate(base, [deltas[3], deltas[6]] + deltas[..<3] + deltas[4..<6])) == first)
        #expect(Safetensors.encode(try aggregate(base, deltas, valuesPerPiece: 7)) == first)
    }

    @Test func `a tensor that a site did not train counts as unchanged by it`() throws {
        let partial = TensorMap(["head.bias": Tensor(shape: [2], values: [4, 4])])
        let new = try aggregate(TestPackage.base, [("A", 1, partial), ("B", 3, TestPackage.delta(0))])
        #expect(new.tensors["head.bias"]?.values == [1.5, 0.5])
        #expect(new.tensors["encoder.weight"] == TestPackage.base.tensors["encoder.weight"])
    }

    @Test func `no more than one piece of any tensor is ever read at a time`() throws {
        let base = WatchedSource(random(1, shapes: ["big": [1000, 100]]))
        let deltas = (0..<20).map { WatchedSource(random(UInt64($0), shapes: ["big": [1000, 100]])) }
        var largestWrite = 0
        try Aggregation(WeightedMean(), valuesPerPiece: 512).run(
            base: base,
            contributions: deltas.enumerated().map {
                WeightedDelta(site: "\($0)", examples: 1, weight: 0.05, source: $1)
            }
        ) { _, values in largestWrite = max(largestWrite, values.count) }
        #expect(largestWrite == 512)
        #expect(base.largestRead.withLock { $0 } == 512)
        #expect(deltas.allSatisfy { $0.largestRead.withLock { $0 } == 512 })
    }

    @Test func `a sum beyond what a float can hold is named and nothing is published`() throws {
        let huge = TestPackage.delta(.greatestFiniteMagnitude)
        let base = TestPackage.delta(.greatestFiniteMagnitude)
        #expect(throws: NonFiniteValue(name: "encoder.weight", index: 0)) {
            _ = try aggregate(base, [("A", 1, huge)])
        }
    }

    @Test func `a file of new parameters is canonical and is not there when aggregation fails`() throws {
        let folder = try TemporaryFolder()
        func file(_ name: String, _ map: TensorMap) throws -> SafetensorsFile {
            let url = folder.url.appending(path: name)
            try Safetensors.write(map, to: url)
            return try SafetensorsFile(url)
        }
        let base = try file("base", TestPackage.base)
        let target = folder.url.appending(path: "new.safetensors")
        try Aggregation(WeightedMean()).write(
            base: base,
            contributions: [
                WeightedDelta(site: "A", examples: 1, weight: 1, source: try file("a", TestPackage.delta(1)))
            ],
            to: target)
        var expected = TestPackage.base
        try expected.addScaled(TestPackage.delta(1), by: 1)
        #expect(try Data(contentsOf: target) == Safetensors.encode(expected))

        let failed = folder.url.appending(path: "failed.safetensors")
        let huge = try file("huge", TestPackage.delta(.infinity))
        #expect(throws: NonFiniteValue.self) {
            try Aggregation(WeightedMean()).write(
                base: base, contributions: [WeightedDelta(site: "A", examples: 1, weight: 1, source: huge)], to: failed)
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.url.path).allSatisfy { !$0.contains("failed") })
    }

    // MARK: Shapes

    @Test func `a delta holds exactly the tensors that the package trains`() {
        let base = WatchedSource(TestPackage.base)
        let head = TensorMap(["head.bias": Tensor(shape: [2], values: [1, 1])])
        func fits(_ map: TensorMap, _ trains: TrainingDefaults.Trainable) -> TensorMismatch? {
            DeltaShape.mismatch(of: WatchedSource(map), base: base, trains: trains)
        }
        #expect(fits(TestPackage.base, .all) == nil)
        #expect(fits(head, .all) == .missing(name: "encoder.weight"))
        #expect(fits(head, .named(["head"])) == nil)
        #expect(fits(TestPackage.base, .named(["head"])) == .unexpected(name: "encoder.weight"))
        #expect(fits(head, .named(["encoder.weight"])) == .missing(name: "encoder.weight"))
        #expect(fits(head, .head) == nil)
        #expect(fits(TensorMap(), .head) != nil)
        #expect(fits(TensorMap(["other": Tensor(shape: [1], values: [1])]), .head) == .unexpected(name: "other"))
        #expect(
            fits(TensorMap(["head.bias": Tensor(shape: [1, 2], values: [1, 1])]), .head)
                == .shape(name: "head.bias", expected: [2], found: [1, 2]))
    }
}
