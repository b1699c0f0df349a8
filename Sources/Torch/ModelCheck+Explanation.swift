// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

extension ModelCheck {
    /// Makes a heat map of noise for every finding, as the worker does for a key image.
    func checkExplanation(_ model: TorchModel) throws -> String {
        if package.manifest.masks != nil {
            let mask = try model.masks(of: Self.noise(model.shape.valueCount, seed: 4)).first
            return "by its masks, \(mask?.rows ?? 0) × \(mask?.columns ?? 0) places; "
                + "it is not trained, since labels do not say where a finding is"
        }
        guard let layer = package.manifest.explanation?.layer else {
            return "by covering parts of the input, \(TorchModel.grid * TorchModel.grid) runs for each heat map"
        }
        let input = Self.noise(model.shape.valueCount, seed: 4)
        var places = (rows: 0, columns: 0)
        for finding in package.manifest.findings.indices {
            let map = try model.activation(of: input, finding: finding, layer: layer)
            guard map.values.allSatisfy(\.isFinite) else {
                throw Problem(
                    text: "the activation of “\(layer)” is not finite", fix: "name another layer in explanation.layer")
            }
            places = (map.rows, map.columns)
        }
        return "by “\(layer)” (Grad-CAM), \(places.rows) × \(places.columns) places"
    }
}
