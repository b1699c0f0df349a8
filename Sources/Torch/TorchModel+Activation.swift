// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

extension TorchModel {
    /// Which part of an input carries a finding, by what one layer makes of it: the layer's channels, each weighted by the
    /// mean gradient of the finding's output with respect to it (Selvaraju et al., “Grad-CAM”, 2017). As coarse as the layer.
    ///
    /// - Parameters:
    ///   - input: one input, channels × height × width.
    ///   - finding: index in the manifest.
    ///   - layer: path of a module, as in `Manifest.Explanation`.
    /// - Returns: nil when nothing in the layer speaks for the finding.
    /// - Throws: `TorchError.layer` when the layer is not there or does not give inputs × channels × height × width.
    public func activationMap(of input: [Float], finding: Int, layer: String) throws(TorchError) -> Relevance? {
        let (rows, columns, values) = try activation(of: input, finding: finding, layer: layer)
        return Relevance(rows: rows, columns: columns, raw: values, least: 0, method: .activation(layer: layer))
    }
}
