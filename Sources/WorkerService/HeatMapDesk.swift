// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Results
import Tensors
import Torch

/// Asks a model which part of a slice its answer comes from. It is never urgent: it runs on one processor, and stands still
/// while studies are read.
///
/// Belongs to one thread.
final class HeatMapDesk {
    /// The version that was asked last: studies that come one after the other are mostly read by the same one.
    private var loaded: (id: Hash, model: TorchModel)?
    private let mayContinue: () -> Bool

    /// - Parameter mayContinue: waits while there is something more urgent; false when the worker stops.
    init(mayContinue: @escaping () -> Bool) {
        self.mayContinue = mayContinue
    }

    /// - Parameter finding: as the manifest names it.
    /// - Returns: nil when no part of the input matters by itself.
    /// - Throws: `TorchError`, `.cancelled` when the worker stops, or what reading the parameters throws.
    func heatMap(_ wanted: LiveModel, input: [Float], finding: String) throws -> HeatMap? {
        guard let index = wanted.manifest.findings.firstIndex(where: { $0.name == finding }) else { return nil }
        guard mayContinue() else { throw TorchError.cancelled }
        TorchModel.useThreads(1)
        let model = try model(wanted)
        return try model.occlusion(of: input, finding: index, mayContinue: mayContinue).flatMap(HeatMap.init)
    }

    private func model(_ wanted: LiveModel) throws -> TorchModel {
        if let loaded, loaded.id == wanted.id { return loaded.model }
        // Two big models need not be in memory at once.
        loaded = nil
        let model = try TorchModel(file: wanted.modelFile, manifest: wanted.manifest)
        try model.setParameters(try Safetensors.read(wanted.parametersFile))
        loaded = (wanted.id, model)
        return model
    }
}

extension HeatMap {
    fileprivate init?(_ relevance: Relevance) {
        let method =
            switch relevance.method {
            case .occlusion: "occlusion"
            }
        self.init(rows: relevance.rows, columns: relevance.columns, values: relevance.values, method: method)
    }
}
