// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
import ModelPackage

extension TorchModel {
    /// What a segmentation model (`Manifest.masks`) says about one input: a mask for each finding.
    ///
    /// - Parameter input: one input, channels × height × width.
    /// - Throws: `TorchError.outputShape` when its output is no mask, or one with more places than the input.
    public func masks(of input: [Float]) throws(TorchError) -> [SegmentationMask] {
        let findings = manifest.findings.count
        var values = [Float](repeating: 0, count: findings * shape.height * shape.width)
        var rows: Int64 = 0
        var columns: Int64 = 0
        try shape.withBatch(input, count: 1) { batch throws(TorchError) in
            var batch = batch
            try TorchError.check {
                gantry_torch_masks(
                    handle, &batch, Int64(findings), &values, values.count, &rows, &columns, $0, $1)
            }
        }
        let places = Int(rows * columns)
        values.removeLast(values.count - findings * places)
        guard values.allSatisfy(\.isFinite) else { throw .notFinite(reason: "a mask is not finite") }
        manifest.toProbabilities(&values)
        return (0..<findings).map {
            SegmentationMask(
                rows: Int(rows), columns: Int(columns), probabilities: Array(values[$0 * places..<($0 + 1) * places]))
        }
    }
}
