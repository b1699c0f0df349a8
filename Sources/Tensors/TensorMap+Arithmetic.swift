// SPDX-License-Identifier: GPL-3.0-or-later

/// Where two tensor maps do not fit together, or the first value that is no number.
public enum TensorMismatch: Error, Sendable, Equatable, CustomStringConvertible {
    /// The other map has no tensor of this name.
    case missing(name: String)
    /// The other map has a tensor that this one lacks.
    case unexpected(name: String)
    case shape(name: String, expected: [Int], found: [Int])

    /// The tensor it is about.
    public var name: String {
        switch self {
        case .missing(let name), .unexpected(let name), .shape(let name, _, _): name
        }
    }

    public var description: String {
        switch self {
        case .missing(let name): "tensor “\(name)” is missing"
        case .unexpected(let name): "tensor “\(name)” is not one of the model's parameters"
        case .shape(let name, let expected, let found):
            "tensor “\(name)” has the shape \(found), expected \(expected)"
        }
    }
}

/// A value that is infinite or not a number, and where it is.
public struct NonFiniteValue: Error, Sendable, Equatable, CustomStringConvertible {
    public let name: String
    /// Row-major index in the tensor.
    public let index: Int

    public init(name: String, index: Int) {
        self.name = name
        self.index = index
    }

    public var description: String { "tensor “\(name)” holds a value that is not finite at index \(index)" }
}

extension TensorMap {
    /// Nil when `other` has the same names with the same shapes; else the first difference in name order, seen from
    /// this map (`missing`: here but not in `other`).
    public func hasSameShapes(as other: TensorMap) -> TensorMismatch? {
        for name in Set(tensors.keys).union(other.tensors.keys).sorted(by: Self.precedes) {
            guard let mine = tensors[name] else { return .unexpected(name: name) }
            guard let theirs = other.tensors[name] else { return .missing(name: name) }
            if mine.shape != theirs.shape { return .shape(name: name, expected: mine.shape, found: theirs.shape) }
        }
        return nil
    }

    /// `self − base`, value by value.
    ///
    /// - Throws: `TensorMismatch` when the maps differ in names or shapes.
    public func difference(minus base: TensorMap) throws(TensorMismatch) -> TensorMap {
        if let mismatch = base.hasSameShapes(as: self) { throw mismatch }
        var result = self
        for (name, tensor) in base.tensors {
            result.tensors[name]?.values.withUnsafeMutableBufferPointer { mine in
                tensor.values.withUnsafeBufferPointer { theirs in
                    for index in mine.indices { mine[index] -= theirs[index] }
                }
            }
        }
        return result
    }

    /// `self += scale × other`, value by value, in `Float`.
    ///
    /// - Throws: `TensorMismatch` when the maps differ in names or shapes; `self` is unchanged then.
    public mutating func addScaled(_ other: TensorMap, by scale: Float) throws(TensorMismatch) {
        if let mismatch = hasSameShapes(as: other) { throw mismatch }
        for (name, tensor) in other.tensors {
            tensors[name]?.values.withUnsafeMutableBufferPointer { mine in
                tensor.values.withUnsafeBufferPointer { theirs in
                    for index in mine.indices { mine[index] += scale * theirs[index] }
                }
            }
        }
    }

    /// The first value, in name and row-major order, that is infinite or not a number.
    public var firstNonFinite: NonFiniteValue? {
        for name in names {
            let found = tensors[name]?.values.withUnsafeBufferPointer { values in
                values.firstIndex { !$0.isFinite }
            }
            if let index = found ?? nil { return NonFiniteValue(name: name, index: index) }
        }
        return nil
    }

    /// The Euclidean length of all values together, summed in `Double`.
    public var norm: Double {
        var sum = 0.0
        for name in names {
            tensors[name]?.values.withUnsafeBufferPointer { values in
                for value in values { sum += Double(value) * Double(value) }
            }
        }
        return sum.squareRoot()
    }
}
