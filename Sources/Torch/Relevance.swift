// SPDX-License-Identifier: GPL-3.0-or-later

/// How much each part of one model input speaks for a finding, computed from the model itself: 0 nothing, 1 most. Row by
/// row over the whole input.
public struct Relevance: Sendable, Equatable {
    public enum Method: Sendable, Equatable {
        /// Parts are covered one after the other; see `TorchModel.occlusion`.
        case occlusion
        /// A layer's activation, weighted by the finding's gradient; see `TorchModel.activationMap`.
        case activation(layer: String)
        /// The mask of a segmentation model; see `TorchModel.masks`.
        case mask
    }

    public let rows: Int
    public let columns: Int
    public let values: [Float]
    public let method: Method

    /// - Parameter raw: one number for each place, row by row; what is below 0 speaks against the finding and counts as 0.
    /// - Returns: nil when no place stands out: none reaches `least`, or one is no number.
    init?(rows: Int, columns: Int, raw: [Float], least: Float, method: Method) {
        guard rows > 0, columns > 0, raw.count == rows * columns, raw.allSatisfy(\.isFinite),
            let most = raw.max(), most > 0, most >= least
        else { return nil }
        self.rows = rows
        self.columns = columns
        values = raw.map { max(0, $0) / most }
        self.method = method
    }
}
