// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// What the slices of a study say about one finding so far.
///
/// Adding a slice costs O(k) time and the value has O(k) size, whatever the number of slices, so that a probability
/// for the whole study is known after every instance.
public struct FindingEvidence: Sendable, Equatable {
    /// A slice is a frame of an instance.
    public struct Slice: Sendable, Equatable {
        public var sopInstanceUID: String
        /// The gateway's own id of the instance.
        public var gatewayInstance: String
        /// Counted from 0.
        public var frame: Int
        /// 0…1
        public var probability: Double

        public init(sopInstanceUID: String, gatewayInstance: String, frame: Int, probability: Double) {
            self.sopInstanceUID = sopInstanceUID
            self.gatewayInstance = gatewayInstance
            self.frame = frame
            self.probability = probability
        }
    }

    public let rule: SliceRule
    /// The most telling slices, highest first.
    public var top: ArraySlice<Slice> { highest.prefix(shown) }
    public private(set) var count = 0

    private let shown: Int
    private let kept: Int
    private var highest: [Slice] = []
    /// Σ ln(1 − pᵢ)
    private var logOfMissing = 0.0

    /// - Parameter shown: how many slices are named as evidence.
    public init(rule: SliceRule, shown: Int = 3) {
        self.rule = rule
        self.shown = shown
        kept =
            switch rule {
            case .meanOfTop(let count): max(count, shown, 1)
            case .maximum, .noisyOr: max(shown, 1)
            }
    }

    /// A probability outside 0…1 is clipped; NaN counts as 0, so that one bad slice cannot hide the others.
    public mutating func add(_ slice: Slice) {
        var slice = slice
        slice.probability = slice.probability.isNaN ? 0 : min(max(slice.probability, 0), 1)
        count += 1
        // ln(0) would make the sum useless for every later slice.
        logOfMissing += log(1 - min(slice.probability, 1 - 1e-12))
        let place = highest.firstIndex { Self.comesBefore(slice, $0) } ?? highest.count
        guard place < kept else { return }
        highest.insert(slice, at: place)
        if highest.count > kept { highest.removeLast() }
    }

    /// The study's probability by the package's slice rule; 0 without slices.
    public var probability: Double {
        guard let first = highest.first else { return 0 }
        switch rule {
        case .maximum: return first.probability
        case .meanOfTop(let count):
            let top = highest.prefix(max(count, 1))
            return top.reduce(0) { $0 + $1.probability } / Double(top.count)
        case .noisyOr: return 1 - exp(logOfMissing)
        }
    }

    /// Equal probabilities are ordered by identity, so that the order of arrival does not show in the flag.
    private static func comesBefore(_ left: Slice, _ right: Slice) -> Bool {
        if left.probability != right.probability { return left.probability > right.probability }
        if left.sopInstanceUID != right.sopInstanceUID { return left.sopInstanceUID < right.sopInstanceUID }
        return left.frame < right.frame
    }
}
