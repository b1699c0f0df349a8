// SPDX-License-Identifier: GPL-3.0-or-later

/// Where in one input a segmentation model sees one finding: a probability for each place, row by row, over the whole input.
public struct SegmentationMask: Sendable, Equatable {
    public let rows: Int
    public let columns: Int
    /// 0…1
    public let probabilities: [Float]

    /// As a heat map; nil when nothing stands out.
    public var relevance: Relevance? {
        Relevance(rows: rows, columns: columns, raw: probabilities, least: 0.01, method: .mask)
    }
}
