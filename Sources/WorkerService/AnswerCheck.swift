// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Torch

/// Whether a model says different things about different inputs. A site that joins a federation has no studies to try a
/// version on; one that says the same about everything it is shown is not worth waiting for some.
enum AnswerCheck {
    /// Probabilities that are nearer to each other than this are the same answer: a logit that nothing moves far enough
    /// to matter, below -20.
    private static let leastDifference: Float = 1e-9

    /// - Parameter score: the probabilities of one slice, one for each finding.
    /// - Throws: `FetchFailure.sameAnswer`, or what `score` throws.
    static func run(_ manifest: Manifest, score: ([Float]) throws -> [Float]) throws {
        let answers = try inputs(InputShape(manifest.preprocessing)).map(score)
        for (index, finding) in manifest.findings.enumerated() {
            let values = answers.compactMap { index < $0.count ? $0[index] : nil }
            guard let least = values.min(), let most = values.max(), most - least >= leastDifference else {
                throw FetchFailure.sameAnswer(finding: finding.name)
            }
        }
    }

    /// Pictures that have little in common: dark, bright, ramps, discs, noise.
    private static func inputs(_ shape: InputShape) -> [[Float]] {
        let (height, width) = (Float(max(1, shape.height)), Float(max(1, shape.width)))
        func picture(_ value: (_ row: Float, _ column: Float) -> Float) -> [Float] {
            var values: [Float] = []
            values.reserveCapacity(shape.valueCount)
            for _ in 0..<shape.channels {
                for row in 0..<shape.height {
                    for column in 0..<shape.width { values.append(value(Float(row) / height, Float(column) / width)) }
                }
            }
            return values
        }
        func disc(_ row: Float, _ column: Float, _ radius: Float) -> [Float] {
            picture { ($0 - row) * ($0 - row) + ($1 - column) * ($1 - column) < radius * radius ? 1 : 0.3 }
        }
        var state: UInt32 = 1
        let noise = picture { _, _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 24)
        }
        return [
            picture { _, _ in 0 }, picture { _, _ in 1 }, picture { row, _ in row }, picture { _, column in column },
            disc(0.5, 0.5, 0.4), disc(0.3, 0.6, 0.1), noise,
        ]
    }
}
