// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@testable import Torch

@Suite struct ActivationTests {
    @Test(arguments: ["stage1", "stage2", "stage3.conv", "stage4"])
    func `Every layer with height and width gives a map of its size`(layer: String) throws {
        try withTemporaryDirectory { directory in
            let model = try TorchModel(package: try ToyStudies(directory: directory).package(findings: ["a", "b"]))
            var random = SplitMix64(seed: 4)
            let input = (0..<model.shape.valueCount).map { _ in Float.random(in: 0...1, using: &random) }
            let sides = ["stage1": 16, "stage2": 8, "stage3.conv": 4, "stage4": 2]
            let maps = try (0..<2).map { try model.activationMap(of: input, finding: $0, layer: layer) }
            for case let map? in maps {
                #expect(map.rows == sides[layer] && map.columns == sides[layer])
                #expect(map.method == .activation(layer: layer))
                #expect(map.values.max() == 1 && map.values.allSatisfy { $0 >= 0 })
            }
            // The findings look at different things.
            #expect(maps[0] != maps[1])
            // A second time, and after another layer was asked for, it says the same.
            _ = try model.activationMap(of: input, finding: 0, layer: "stage1")
            #expect(try model.activationMap(of: input, finding: 0, layer: layer) == maps[0])
        }
    }

    @Test func `Asking changes neither scores nor parameters`() throws {
        try withTemporaryDirectory { directory in
            let model = try TorchModel(package: try ToyStudies(directory: directory).package())
            let input = (0..<model.shape.valueCount).map { Float($0 % 7) / 7 }
            let parameters = try model.parameters()
            let score = try model.score(input, count: 1)
            _ = try model.activationMap(of: input, finding: 0, layer: "stage4")
            #expect(try model.parameters() == parameters)
            #expect(try model.score(input, count: 1) == score)
            // New parameters count at once.
            var other = parameters
            other.tensors["head.weight"]?.values.reverse()
            let before = try model.activationMap(of: input, finding: 0, layer: "stage2")
            try model.setParameters(other)
            #expect(try model.activationMap(of: input, finding: 0, layer: "stage2") != before)
        }
    }

    @Test(arguments: [
        ("stage9", "no layer “stage9”"), ("stage1.conv.weight", "no layer"), ("", "no name"),
        ("head", "not inputs x channels x height x width"),
    ])
    func `A layer that cannot be laid over the input is named`(layer: String, text: String) throws {
        try withTemporaryDirectory { directory in
            let model = try TorchModel(package: try ToyStudies(directory: directory).package())
            let input = [Float](repeating: 0.5, count: model.shape.valueCount)
            do throws(TorchError) {
                _ = try model.activationMap(of: input, finding: 0, layer: layer)
                Issue.record("accepted")
            } catch {
                guard case .layer(let reason) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(reason.contains(text), "\(reason)")
            }
        }
    }
}
