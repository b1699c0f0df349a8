// SPDX-License-Identifier: GPL-3.0-or-later

/// Compares how far the deltas of a round go with their median, as a whole and for each tensor: after Sun, Kairouz, Suresh
/// and McMahan, “Can You Really Backdoor Federated Learning?”, 2019 (arXiv:1911.07963), section 4, with the median of the
/// round in the place of a constant, and refusal in the place of clipping.
///
/// Sites differ, and a site with more studies takes more steps: the bound grows with its examples, tenfold at most, and
/// what is small beside the base version is no harm whatever the others do.
public struct NormScreen: Sendable, Equatable {
    /// How many times the median the norm of a whole delta may be.
    public var largestNorm: Double

    public init(largestNorm: Double) { self.largestNorm = largestNorm }

    /// With fewer, the median says nothing about who is wrong.
    public static let fewest = 3
    /// Tensors scatter more than the whole.
    static let tensorSlack = 2.5
    /// A delta below this part of the base, or a tensor of a delta below `smallTensor`, is never out of line.
    static let small = 0.01
    static let smallTensor = 0.05
    static let mostExamples = 10.0

    /// One site's delta.
    public struct Member: Sendable, Equatable {
        public var site: String
        public var examples: Int
        public var measure: UpdateMeasure

        public init(site: String, examples: Int, measure: UpdateMeasure) {
            self.site = site
            self.examples = examples
            self.measure = measure
        }
    }

    /// The sites that are out of line, each with the tensor, or the whole, that is furthest out.
    public func judge(_ members: [Member]) -> [String: OutOfLine] {
        guard members.count >= Self.fewest else { return [:] }
        let median = Self.median(members.map(\.measure.norm))
        let examples = Self.median(members.map { Double($0.examples) })
        let tensors = (members.first?.measure.tensors ?? []).indices.map { index in
            Self.median(members.map { $0.measure.tensors[index].norm })
        }
        return members.reduce(into: [:]) { refused, member in
            let growth = min(max(1, Double(member.examples) / max(1, examples)), Self.mostExamples)
            let measure = member.measure
            let whole = OutOfLine(
                screen: .norm, tensor: nil, found: measure.norm,
                bound: max(largestNorm * growth * median, Self.small * measure.baseNorm))
            let parts = zip(measure.tensors, tensors).map { tensor, median in
                OutOfLine(
                    screen: .norm, tensor: tensor.name, found: tensor.norm,
                    bound: max(
                        Self.tensorSlack * largestNorm * growth * median,
                        Self.smallTensor * measure.reference(tensor)))
            }
            refused[member.site] = ([whole] + parts).filter { $0.found > $0.bound }
                .max { $0.found * $1.bound < $1.found * $0.bound }
        }
    }

    /// The lower one of two middle values, so that half of the sites cannot raise it.
    static func median(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.sorted()[(values.count - 1) / 2]
    }
}
