// SPDX-License-Identifier: GPL-3.0-or-later

/// How much each part of a model's input speaks for a finding: 0 nothing, 1 most. Row by row over the whole input.
public struct HeatMap: Sendable, Equatable {
    public let rows: Int
    public let columns: Int
    public let values: [Float]
    /// How it was computed, in a few words.
    public let method: String

    /// Nil unless there is one finite value for each place.
    public init?(rows: Int, columns: Int, values: [Float], method: String) {
        guard rows > 0, columns > 0, values.count == rows * columns, values.allSatisfy(\.isFinite) else { return nil }
        self.rows = rows
        self.columns = columns
        self.values = values
        self.method = method
    }

    /// Bilinear between the centres of the places; (0, 0) is the top left corner, (1, 1) the bottom right one.
    func value(x: Double, y: Double) -> Float {
        func place(_ share: Double, _ count: Int) -> (low: Int, high: Int, weight: Float) {
            let position = min(max(share * Double(count) - 0.5, 0), Double(count - 1))
            let low = Int(position)
            return (low, min(low + 1, count - 1), Float(position - Double(low)))
        }
        let (left, right, across) = place(x, columns)
        let (top, bottom, down) = place(y, rows)
        let above = values[top * columns + left] * (1 - across) + values[top * columns + right] * across
        let below = values[bottom * columns + left] * (1 - across) + values[bottom * columns + right] * across
        return above * (1 - down) + below * down
    }
}
