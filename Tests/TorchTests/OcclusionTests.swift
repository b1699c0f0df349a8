// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Tensors
import Testing

@testable import Torch

@Suite struct OcclusionTests {
    private let shape = InputShape(channels: 2, height: 40, width: 40)

    /// An input that is bright in one square of its second channel, rows 8 to 11, columns 20 to 23.
    private var input: [Float] {
        var values = [Float](repeating: 0, count: shape.valueCount)
        for row in 8..<12 {
            for column in 20..<24 { values[1600 + row * 40 + column] = 1 }
        }
        return values
    }

    @Test func `The heat is where covering takes the evidence away`() throws {
        try withTemporaryDirectory { directory in
            var toys = ToyStudies(directory: directory)
            toys.shape = shape
            let package = try toys.package()
            let model = try TorchModel(package: package)
            // The head reads the highest value of the first stage's 8th smoothed feature and nothing else.
            try model.setParameters(Self.readingOne(of: model.parameters()))
            let map = try #require(try model.occlusion(of: input, finding: 0))
            #expect((map.rows, map.columns, map.method) == (10, 10, .occlusion))
            #expect(map.values[2 * 10 + 5] > 0.9)
            #expect(map.values[7 * 10 + 1] < 0.2)
            #expect(map.values.max() == 1)
        }
    }

    /// All evidence comes from the peak of the first feature of stage 1, which is made to see the second channel.
    private static func readingOne(of parameters: TensorMap) -> TensorMap {
        var parameters = parameters
        let inputs = 2
        let weight = parameters.tensors["stage1.conv.weight"]?.values.count ?? 0
        parameters.tensors["stage1.conv.weight"]?.values = (0..<weight).map { index in
            index < inputs * 9 && index >= 9 ? 1 : 0
        }
        let features = parameters.tensors["head.weight"]?.values.count ?? 0
        // Means of 16 features come first, then their peaks.
        parameters.tensors["head.weight"]?.values = (0..<features).map { $0 == 16 ? 1 : 0 }
        return parameters
    }

    @Test func `A model that looks at nothing has no heat map`() throws {
        try withTemporaryDirectory { directory in
            var toys = ToyStudies(directory: directory)
            toys.shape = shape
            let model = try TorchModel(package: try toys.package())
            var parameters = try model.parameters()
            let features = parameters.tensors["head.weight"]?.values.count ?? 0
            parameters.tensors["head.weight"]?.values = [Float](repeating: 0, count: features)
            try model.setParameters(parameters)
            #expect(try model.occlusion(of: input, finding: 0) == nil)
        }
    }

    @Test func `It ends when it is told to`() throws {
        try withTemporaryDirectory { directory in
            var toys = ToyStudies(directory: directory)
            toys.shape = shape
            let model = try TorchModel(package: try toys.package())
            #expect(throws: TorchError.cancelled) { try model.occlusion(of: input, finding: 0) { false } }
        }
    }

    @Test func `An input that is too small for places has no heat map`() throws {
        try withTemporaryDirectory { directory in
            var toys = ToyStudies(directory: directory)
            toys.shape = InputShape(channels: 1, height: 9, width: 9)
            let model = try TorchModel(package: try toys.package())
            #expect(try model.occlusion(of: [Float](repeating: 1, count: 81), finding: 0) == nil)
        }
    }
}
