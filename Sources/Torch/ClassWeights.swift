// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// How much a label counts, so that present and absent (or, with `cross_entropy`, each finding) count the same in sum.
struct ClassWeights: Equatable {
    private var present: [Double]
    private var absent: [Double]

    /// One rare label must not outweigh everything else.
    static let largest = 10.0

    /// A finding for which the labels know one class only gets weight 0: it could only teach the model to say always the
    /// same.
    ///
    /// - Parameter labels: for each study one label for each finding.
    /// - Throws: `TorchError.nothingToLearn` when that leaves no finding.
    init(labels: [[Bool?]], manifest: Manifest) throws(TorchError) {
        let findings = manifest.findings.count
        let positives = (0..<findings).map { finding in labels.count { $0[finding] == true } }
        let negatives = (0..<findings).map { finding in labels.count { $0[finding] == false } }
        switch manifest.training.loss {
        case .binaryCrossEntropy:
            present = zip(positives, negatives).map { Self.share(of: $0, among: $0 + $1, classes: 2, other: $1) }
            absent = zip(positives, negatives).map { Self.share(of: $1, among: $0 + $1, classes: 2, other: $0) }
            guard present.contains(where: { $0 > 0 }) else {
                let counts = zip(manifest.findings, zip(positives, negatives)).map {
                    "\($0.name): \($1.0) present, \($1.1) absent"
                }
                throw .nothingToLearn(
                    reason: "no finding has labels of both kinds (\(counts.joined(separator: "; ")))")
            }
        case .crossEntropy:
            let total = positives.reduce(0, +)
            let classes = positives.count { $0 > 0 }
            guard classes > 1 else {
                throw .nothingToLearn(reason: "all \(total) labelled studies show the same finding")
            }
            present = positives.map { Self.share(of: $0, among: total, classes: classes, other: 1) }
            absent = present.map { _ in 0 }
        }
    }

    func weight(of finding: Int, present isPresent: Bool) -> Double {
        isPresent ? present[finding] : absent[finding]
    }

    private static func share(of count: Int, among total: Int, classes: Int, other: Int) -> Double {
        guard count > 0, other > 0 else { return 0 }
        return min(Double(total) / Double(classes * count), largest)
    }
}
