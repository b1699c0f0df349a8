// SPDX-License-Identifier: GPL-3.0-or-later
import Tensors

/// How far a delta goes from its base, tensor by tensor.
public struct UpdateMeasure: Sendable, Equatable {
    public struct Measure: Sendable, Equatable {
        public var name: String
        public var count: Int
        /// Σ δ²
        public var squares: Double
        /// The farthest that one value moves.
        public var farthest: Double
        /// Σ of the base's squares.
        public var baseSquares: Double

        public var norm: Double { squares.squareRoot() }

        public init(name: String, count: Int, squares: Double, farthest: Double, baseSquares: Double) {
            self.name = name
            self.count = count
            self.squares = squares
            self.farthest = farthest
            self.baseSquares = baseSquares
        }
    }

    /// All tensors of the base, by name; those that the delta leaves alone with a norm of 0.
    public var tensors: [Measure]

    public init(tensors: [Measure]) { self.tensors = tensors }

    /// Reads both once, piece by piece.
    ///
    /// - Throws: what reading throws.
    public init(of delta: some TensorSource, base: some TensorSource, valuesPerPiece: Int = 1 << 18) throws {
        tensors = try base.names.map { name in
            let count = (base.shape(of: name) ?? []).reduce(1, *)
            var measure = Measure(name: name, count: count, squares: 0, farthest: 0, baseSquares: 0)
            let isChanged = delta.shape(of: name) != nil
            for start in stride(from: 0, to: count, by: valuesPerPiece) {
                let range = start..<min(start + valuesPerPiece, count)
                let values = try base.values(of: name, in: range)
                measure.baseSquares += values.dot(values)
                guard isChanged else { continue }
                let change = try delta.values(of: name, in: range)
                measure.squares += change.dot(change)
                measure.farthest = max(measure.farthest, Double(change.reduce(Float(0)) { max($0, abs($1)) }))
            }
            return measure
        }
    }

    public var norm: Double { tensors.reduce(0) { $0 + $1.squares }.squareRoot() }
    public var baseNorm: Double { tensors.reduce(0) { $0 + $1.baseSquares }.squareRoot() }

    /// How large a value of the base is on the whole (root of the mean square): what a tensor of zeros, such as a new
    /// bias, is measured by.
    public var baseScale: Double {
        let count = tensors.reduce(0) { $0 + $1.count }
        return count == 0 ? 0 : baseNorm / Double(count).squareRoot()
    }

    /// What a tensor's change is measured by: the base's norm of it, and at least what the base's values are elsewhere.
    func reference(_ measure: Measure) -> Double {
        max(measure.baseSquares.squareRoot(), Double(measure.count).squareRoot() * baseScale)
    }
}

extension [Float] {
    /// Σ aᵢ bᵢ over the shorter of both, summed in `Double`.
    func dot(_ other: [Float]) -> Double {
        withUnsafeBufferPointer { a in
            other.withUnsafeBufferPointer { b in
                let count = Swift.min(a.count, b.count)
                var lanes = SIMD8<Double>.zero
                var index = 0
                while index + 8 <= count {
                    var (left, right) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
                    for lane in 0..<8 {
                        left[lane] = a[index + lane]
                        right[lane] = b[index + lane]
                    }
                    lanes += SIMD8<Double>(left) * SIMD8<Double>(right)
                    index += 8
                }
                var sum = lanes.sum()
                while index < count {
                    sum += Double(a[index]) * Double(b[index])
                    index += 1
                }
                return sum
            }
        }
    }
}
