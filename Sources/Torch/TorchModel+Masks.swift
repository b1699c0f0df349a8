// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

extension TorchModel {
    /// What a segmentation model (`Manifest.masks`) says about one input: a mask for each finding.
    ///
    /// - Parameter input: one input, channels × height × width.
    /// - Throws: `TorchError.outputShape` when its output is no mask, or one with more places than the input.
    public func masks(of input: [Float]) throws(TorchError) -> [SegmentationMask] {
        var (rows, columns, values) = try rawMasks(of: input)
        guard values.allSatisfy(\.isFinite) else { throw .notFinite(reason: "a mask is not finite") }
        manifest.toProbabilities(&values)
        let places = rows * columns
        return manifest.findings.indices.map {
            SegmentationMask(
                rows: rows, columns: columns, probabilities: Array(values[$0 * places..<($0 + 1) * places]))
        }
    }
}
