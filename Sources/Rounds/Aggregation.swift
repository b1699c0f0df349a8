// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Tensors

/// One pass over a base and the deltas of a round, piece by piece, into a sink.
public struct Aggregation: Sendable {
    public let aggregator: any Aggregator
    /// Values in memory at a time, for the base and for each of an aggregator's own buffers.
    public let valuesPerPiece: Int

    public init(_ aggregator: any Aggregator, valuesPerPiece: Int = 1 << 18) {
        precondition(valuesPerPiece > 0, "a piece needs at least one value")
        self.aggregator = aggregator
        self.valuesPerPiece = valuesPerPiece
    }

    /// Calls `sink` with the new values of every tensor of `base`, tensors by name, values in row-major order.
    ///
    /// The result depends on the set of contributions only, not on their order.
    ///
    /// - Throws: `NonFiniteValue` when a new value is not a number, and whatever reading or `sink` throws.
    public func run(
        base: some TensorSource, contributions: [WeightedDelta],
        sink: (_ piece: TensorPiece, _ values: [Float]) throws -> Void
    ) throws {
        let ordered = contributions.sorted { $0.site.utf8.lexicographicallyPrecedes($1.site.utf8) }
        for name in base.names {
            let count = (base.shape(of: name) ?? []).reduce(1, *)
            for start in stride(from: 0, to: count, by: valuesPerPiece) {
                let piece = TensorPiece(name: name, range: start..<min(start + valuesPerPiece, count))
                let values = try aggregator.combine(
                    base: base.values(of: name, in: piece.range), contributions: ordered, piece: piece)
                if let index = values.firstIndex(where: { !$0.isFinite }) {
                    throw NonFiniteValue(name: name, index: start + index)
                }
                try sink(piece, values)
            }
        }
    }

    /// Writes the new parameters as a canonical safetensors file.
    ///
    /// - Throws: as `run`, and `SafetensorsError` when the file cannot be written; then there is no file.
    public func write(base: SafetensorsFile, contributions: [WeightedDelta], to url: URL) throws {
        let shapes = Dictionary(uniqueKeysWithValues: base.header.entries.map { ($0.name, $0.shape) })
        let writer = try SafetensorsWriter(url, shapes: shapes)
        try run(base: base, contributions: contributions) { _, values in try writer.append(values) }
        try writer.finish()
    }
}
