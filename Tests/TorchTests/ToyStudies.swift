// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

@testable import Torch

/// Small made-up studies: noisy discs in a bright ring, and in some slices of a positive study a brighter spot, fainter
/// than the ring.
struct ToyStudies {
    var shape = InputShape(channels: 1, height: 32, width: 32)
    var slices = 8
    var directory: URL

    /// Half of the studies are positive.
    func write(count: Int, seed: UInt64) throws -> [TrainingExample] {
        var random = SplitMix64(seed: seed)
        return try (0..<count).map { index in
            let positive = index % 2 == 0
            let url = directory.appending(path: "\(seed)-\(index).safetensors")
            let writer = try ExampleWriter(url, shape: shape)
            let affected = Int.random(in: 1..<slices - 2, using: &random)
            for slice in 0..<slices {
                let spot = positive && (affected..<affected + 2).contains(slice)
                try writer.append(image(spot: spot, &random), slices: 1)
            }
            return TrainingExample(file: url, labels: [positive])
        }
    }

    private func image(spot: Bool, _ random: inout SplitMix64) -> [Float] {
        let (height, width) = (Double(shape.height), Double(shape.width))
        let radius = 0.42 * height
        let angle = Double.random(in: 0..<2 * .pi, using: &random)
        let distance = Double.random(in: 0..<0.5, using: &random) * radius
        let (spotY, spotX) = (height / 2 + distance * sin(angle), width / 2 + distance * cos(angle))
        var values: [Float] = []
        for _ in 0..<shape.channels {
            for row in 0..<shape.height {
                for column in 0..<shape.width {
                    let (y, x) = (Double(row), Double(column))
                    let fromCenter = hypot(y - height / 2, x - width / 2)
                    var value = fromCenter > radius ? 0 : fromCenter > radius - 2 ? 1 : 0.4
                    if spot, hypot(y - spotY, x - spotX) < 0.1 * height { value = 0.75 }
                    values.append(Float(value + Double.random(in: -0.08...0.08, using: &random)))
                }
            }
        }
        return values
    }

    /// A package with a small CNN for these studies.
    func package(
        named name: String = "package", rule: SliceRule = .maximum, training: TrainingDefaults = TrainingDefaults(),
        findings: [String] = ["spot"], seed: UInt64 = 1
    ) throws -> ModelPackage {
        try PackageWriter.write(
            manifest: Manifest(
                name: "toy", title: "Toy", intendedUse: "Tests.", takes: Applicability(),
                preprocessing: Preprocessing(
                    height: shape.height, width: shape.width,
                    channels: Array(repeating: .percentiles, count: shape.channels)),
                findings: findings.map { Finding(name: $0, title: $0, code: nil, threshold: 0.5, urgency: .urgent) },
                sliceRule: rule, training: training, guardRule: GuardRule()),
            seed: seed, to: directory.appending(path: name))
    }
}

/// Runs `body` with a directory that is gone afterwards.
func withTemporaryDirectory<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(path: "gantry-test-\(UUID())")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url)
}

/// The share of positive–negative pairs in the right order, ties counted half.
func pairsInOrder(_ scores: [(Double, Bool)]) -> Double {
    let positive = scores.filter(\.1).map(\.0)
    let negative = scores.filter { !$0.1 }.map(\.0)
    let wins = positive.reduce(0.0) { sum, p in sum + negative.reduce(0.0) { $0 + (p > $1 ? 1 : p == $1 ? 0.5 : 0) } }
    return wins / Double(positive.count * negative.count)
}
