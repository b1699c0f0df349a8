// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// The loss of one study as a function of the outputs for its slices, and its derivative.
///
/// A label is about the study, so the loss goes through the package's slice-to-study rule (multiple-instance learning). All
/// of it is a formula of a few numbers per slice, which is why it stands here and not in libtorch: the network only
/// sees, for each slice, how the loss wants its outputs to move.
///
/// The rules are followed exactly but for `maximum` with `bce`. The derivative of a maximum reaches one slice; from few
/// studies that learns slowly and may settle on the wrong slice for good. There the loss is the mean of two: that of the
/// maximum, and that of a smooth maximum, the log-sum-exp mean of the slices (Pinheiro and Collobert 2015, "From image-level
/// to pixel-level labeling with convolutional networks", equation 6), whose derivative reaches each slice by its share. The
/// first alone learns late, the second alone leaves the threshold badly placed for the maximum, by which studies are scored.
struct StudyLoss {
    let manifest: Manifest
    let weights: ClassWeights

    /// How sharply the smooth maximum prefers the highest slice.
    static let sharpness = 1.0

    struct Value {
        var loss: Double
        /// Slices × findings: the derivative of `loss` with respect to each output.
        var gradients: [Float]
    }

    /// - Parameters:
    ///   - outputs: slices × findings, as the model gives them.
    ///   - labels: one for each finding; nil is unknown and teaches nothing.
    func callAsFunction(outputs: [Float], labels: [Bool?]) -> Value {
        switch manifest.training.loss {
        case .binaryCrossEntropy: binary(outputs, labels)
        case .crossEntropy: categorical(outputs, labels)
        }
    }

    // MARK: One finding alone

    private func binary(_ outputs: [Float], _ labels: [Bool?]) -> Value {
        let findings = labels.count
        var value = Value(loss: 0, gradients: [Float](repeating: 0, count: outputs.count))
        for (finding, label) in labels.enumerated() {
            guard let label else { continue }
            let weight = weights.weight(of: finding, present: label) / Double(findings)
            let raw = stride(from: finding, to: outputs.count, by: findings).map { Double(outputs[$0]) }
            let logits = manifest.output == .logits ? raw : raw.map(Self.logit)
            let (loss, slopes) = binary(logits, label)
            value.loss += weight * loss
            for (slice, slope) in slopes.enumerated() {
                let p = min(max(raw[slice], Self.smallest), 1 - Self.smallest)
                let inner = manifest.output == .logits ? 1 : 1 / (p * (1 - p))
                value.gradients[slice * findings + finding] = Float(weight * slope * inner)
            }
        }
        return value
    }

    /// Loss and derivative by the slices' logits.
    private func binary(_ logits: [Double], _ present: Bool) -> (Double, [Double]) {
        switch manifest.sliceRule {
        case .maximum: maximum(logits, present)
        case .meanOfTop(let count): meanOfTop(logits, max(count, 1), present)
        case .noisyOr: noisyOr(logits, present)
        }
    }

    private func maximum(_ logits: [Double], _ present: Bool) -> (Double, [Double]) {
        let r = Self.sharpness
        let top = logits.indices.max { logits[$0] < logits[$1] } ?? 0
        let highest = logits[top]
        let powers = logits.map { exp(r * ($0 - highest)) }
        let sum = powers.reduce(0, +)
        let smooth = highest + log(sum / Double(logits.count)) / r
        let sign = present ? -1.0 : 1.0
        let slope = sign * Self.sigmoid(sign * smooth) / 2
        var slopes = powers.map { slope * $0 / sum }
        slopes[top] += sign * Self.sigmoid(sign * highest) / 2
        return ((Self.softplus(sign * smooth) + Self.softplus(sign * highest)) / 2, slopes)
    }

    /// P is the mean of the top probabilities; written as ratios of sums, so that nothing vanishes where P is near 0 or 1.
    private func meanOfTop(_ logits: [Double], _ count: Int, _ present: Bool) -> (Double, [Double]) {
        let top = logits.indices.sorted { logits[$0] > logits[$1] }.prefix(count)
        let sign = present ? 1.0 : -1.0
        let sum = top.reduce(0) { $0 + Self.sigmoid(sign * logits[$1]) } + Self.smallest
        var slopes = [Double](repeating: 0, count: logits.count)
        for index in top {
            let p = Self.sigmoid(logits[index])
            slopes[index] = -sign * p * (1 - p) / sum
        }
        return (-log(sum / Double(top.count)), slopes)
    }

    /// log(1 − P) = −Σ softplus(zᵢ) = −S.
    private func noisyOr(_ logits: [Double], _ present: Bool) -> (Double, [Double]) {
        let total = logits.reduce(0) { $0 + Self.softplus($1) }
        if !present { return (total, logits.map(Self.sigmoid)) }
        let s = max(total, Self.smallest)
        return (-log(-expm1(-s)), logits.map { -Self.sigmoid($0) / expm1(s) })
    }

    // MARK: Exactly one finding

    /// Each finding's study probability by the rule, brought to sum 1, then −log of the one that is present.
    private func categorical(_ outputs: [Float], _ labels: [Bool?]) -> Value {
        let findings = labels.count
        var value = Value(loss: 0, gradients: [Float](repeating: 0, count: outputs.count))
        guard let truth = labels.firstIndex(of: true) else { return value }
        var slices = outputs
        manifest.toProbabilities(&slices)
        let p = slices.map { min(max(Double($0), Self.smallest), 1 - Self.smallest) }
        let parts = (0..<findings).map { finding in
            rule(stride(from: finding, to: p.count, by: findings).map { p[$0] })
        }
        let sum = parts.reduce(0) { $0 + $1.probability }
        let weight = weights.weight(of: truth, present: true)
        value.loss = -weight * log(parts[truth].probability / sum)
        for slice in 0..<p.count / findings {
            let slopes = (0..<findings).map { finding in
                weight * (1 / sum - (finding == truth ? 1 / parts[truth].probability : 0))
                    * parts[finding].slopes[slice]
            }
            let row = slice * findings
            let mean = (0..<findings).reduce(0) { $0 + slopes[$1] * p[row + $1] }
            for finding in 0..<findings {
                value.gradients[row + finding] = Float(
                    manifest.output == .logits ? p[row + finding] * (slopes[finding] - mean) : slopes[finding])
            }
        }
        return value
    }

    /// The study's probability and its derivative by each slice's.
    private func rule(_ p: [Double]) -> (probability: Double, slopes: [Double]) {
        var slopes = [Double](repeating: 0, count: p.count)
        let probability = max(manifest.sliceRule.probability(of: p) ?? 0, Self.smallest)
        switch manifest.sliceRule {
        case .maximum:
            if let index = p.indices.max(by: { p[$0] < p[$1] }) { slopes[index] = 1 }
        case .meanOfTop(let count):
            let top = p.indices.sorted { p[$0] > p[$1] }.prefix(max(count, 1))
            for index in top { slopes[index] = 1 / Double(top.count) }
        case .noisyOr:
            for index in p.indices { slopes[index] = (1 - probability) / (1 - p[index]) }
        }
        return (probability, slopes)
    }

    // MARK: Numbers

    private static let smallest = 1e-7

    private static func sigmoid(_ z: Double) -> Double { 1 / (1 + exp(-z)) }

    private static func softplus(_ z: Double) -> Double { max(z, 0) + log1p(exp(-abs(z))) }

    private static func logit(_ p: Double) -> Double {
        let inside = min(max(p, smallest), 1 - smallest)
        return log(inside / (1 - inside))
    }
}
