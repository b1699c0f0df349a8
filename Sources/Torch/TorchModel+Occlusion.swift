// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

extension TorchModel {
    /// Places along each side of an input; each costs one run of the model.
    static let grid = 10
    /// A fall of the log odds by less than that says nothing.
    private static let leastFall: Float = 1e-3

    /// Which part of an input carries a finding: parts are covered with the input's mean one after the other, and where the
    /// finding's log odds fall most, the evidence is (Zeiler and Fergus, “Visualizing and Understanding Convolutional
    /// Networks”, 2014). Needs nothing of the network but its output. Log odds, since a probability near 1 hardly falls when
    /// half of the evidence is covered.
    ///
    /// - Parameters:
    ///   - input: one input, channels × height × width.
    ///   - finding: index in the manifest.
    ///   - mayContinue: asked before each run of a few inputs; false ends it with `TorchError.cancelled`.
    /// - Returns: nil when no part matters by itself, or when the input is too small to have parts.
    public func occlusion(
        of input: [Float], finding: Int, mayContinue: () -> Bool = { true }
    ) throws(TorchError) -> Relevance? {
        precondition(input.count == shape.valueCount, "\(input.count) values for one input")
        guard shape.height >= Self.grid, shape.width >= Self.grid else { return nil }
        let means = (0..<shape.channels).map { channel in
            let plane = shape.height * shape.width
            return input[channel * plane..<(channel + 1) * plane].reduce(0, +) / Float(plane)
        }
        guard let whole = try logOdds(of: input, count: 1, finding).first else { return nil }
        var falls: [Float] = []
        let places = Self.grid * Self.grid
        for start in stride(from: 0, to: places, by: shape.slicesAtOnce) {
            guard mayContinue() else { throw .cancelled }
            let part = start..<min(start + shape.slicesAtOnce, places)
            let covered = part.flatMap { cover($0, of: input, with: means) }
            falls += try logOdds(of: covered, count: part.count, finding).map { whole - $0 }
        }
        return Relevance(
            rows: Self.grid, columns: Self.grid, raw: falls, least: Self.leastFall, method: .occlusion)
    }

    private func cover(_ place: Int, of input: [Float], with means: [Float]) -> [Float] {
        var copy = input
        let columns = extent(place % Self.grid, shape.width)
        for channel in 0..<shape.channels {
            for row in extent(place / Self.grid, shape.height) {
                let start = (channel * shape.height + row) * shape.width
                for column in columns { copy[start + column] = means[channel] }
            }
        }
        return copy
    }

    /// A place and half of its neighbours, so that something on the border between two is covered once.
    private func extent(_ place: Int, _ length: Int) -> Range<Int> {
        let size = Double(length) / Double(Self.grid)
        return max(0, Int((Double(place) - 0.5) * size))..<min(length, Int((Double(place) + 1.5) * size))
    }

    private func logOdds(of inputs: [Float], count: Int, _ finding: Int) throws(TorchError) -> [Float] {
        var outputs = try forward(inputs, count: count)
        let findings = manifest.findings.count
        if manifest.output == .probabilities || manifest.training.loss == .crossEntropy {
            manifest.toProbabilities(&outputs)
            for index in outputs.indices {
                let probability = min(max(outputs[index], 1e-6), 1 - 1e-6)
                outputs[index] = log(probability / (1 - probability))
            }
        }
        return (0..<count).map { outputs[$0 * findings + finding] }
    }
}
