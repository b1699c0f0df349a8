// SPDX-License-Identifier: GPL-3.0-or-later

/// Where a frame lies in a model input, for the way back: from what a model says about its input to the frame's own pixels.
public struct InputPlacement: Sendable, Equatable {
    /// A place in the input = scale × place in the frame + offset. Places are distances from the edge in pixels: the centre
    /// of the first pixel is at 0.5. The scale is negative where the preprocessing flips.
    public struct Line: Sendable, Equatable {
        public var scale: Double
        public var offset: Double

        public init(scale: Double, offset: Double) {
            self.scale = scale
            self.offset = offset
        }
    }

    /// Of the frame.
    public var rows: Int
    public var columns: Int
    public var vertical: Line
    public var horizontal: Line

    public init(rows: Int, columns: Int, vertical: Line, horizontal: Line) {
        self.rows = rows
        self.columns = columns
        self.vertical = vertical
        self.horizontal = horizontal
    }

    /// Values over the whole input, bilinear at the centre of each pixel of the frame, row by row; 0 where the frame lies
    /// outside of the input.
    ///
    /// - Parameters:
    ///   - values: rows × columns, of any size; they cover the input evenly.
    ///   - height: of the input, as `width`.
    public func onFrame(_ values: [Float], rows: Int, columns: Int, height: Int, width: Int) -> [Float] {
        precondition(values.count == rows * columns && rows > 0 && columns > 0, "\(values.count) values")
        let down = vertical.taps(self.rows, input: height, places: rows)
        let across = horizontal.taps(self.columns, input: width, places: columns)
        var result = [Float](repeating: 0, count: self.rows * self.columns)
        for (row, vertical) in down.enumerated() {
            guard let vertical else { continue }
            for (column, horizontal) in across.enumerated() {
                guard let horizontal else { continue }
                func line(_ index: Int) -> Float {
                    let start = index * columns
                    return values[start + horizontal.low] * (1 - horizontal.share)
                        + values[start + horizontal.high] * horizontal.share
                }
                result[row * self.columns + column] =
                    line(vertical.low) * (1 - vertical.share) + line(vertical.high) * vertical.share
            }
        }
        return result
    }
}

extension InputPlacement.Line {
    /// Between which two of `places` over an input each pixel of a frame lies; nil outside.
    fileprivate func taps(_ pixels: Int, input: Int, places: Int) -> [(low: Int, high: Int, share: Float)?] {
        (0..<pixels).map { pixel in
            let place = (scale * (Double(pixel) + 0.5) + offset) / Double(input)
            guard place >= 0, place < 1 else { return nil }
            let position = min(max(place * Double(places) - 0.5, 0), Double(places - 1))
            let low = Int(position)
            return (low, min(low + 1, places - 1), Float(position - Double(low)))
        }
    }
}
