// SPDX-License-Identifier: GPL-3.0-or-later
import Logging
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
    /// Versions whose layer cannot be used, which was said.
    private var refused: Set<Hash> = []
    /// Processes that came to their end, by version.
    private var lost: [Hash: (count: Int, last: ProcessFailure)] = [:]
    private static let mostLostProcesses = 3
    private let shelf: ModelShelf
    private let log: Logger
    private let mayContinue: () -> Bool

    /// - Parameter mayContinue: waits while there is something more urgent; false when the worker stops.
    init(_ shelf: ModelShelf, log: Logger, mayContinue: @escaping () -> Bool) {
        self.shelf = shelf
        self.log = log
        self.mayContinue = mayContinue
    }

    /// - Parameter finding: as the manifest names it.
    /// - Returns: nil when no part of the input matters by itself.
    /// - Throws: `TorchError`, `.cancelled` when the worker stops, or what reading the parameters throws.
    func heatMap(_ wanted: LiveModel, input: [Float], finding: String) throws -> HeatMap? {
        guard let index = wanted.manifest.findings.firstIndex(where: { $0.name == finding }) else { return nil }
        return try ask(wanted) { model in
            if wanted.manifest.masks != nil { return try model.masks(of: input)[index].relevance.flatMap(HeatMap.init) }
            if let map = try activationMap(model, wanted, input, index) { return HeatMap(map) }
            return try model.occlusion(of: input, finding: index, mayContinue: mayContinue).flatMap(HeatMap.init)
        }
    }

    /// Gives the memory of the model back.
    func rest() { loaded = nil }

    /// What a segmentation model sees in a slice: a mask for each of its findings. Throws as `heatMap` does.
    func masks(_ wanted: LiveModel, input: [Float]) throws -> [SegmentationMask] {
        try ask(wanted) { try $0.masks(of: input) }
    }

    /// A model whose processes come to their end over and over is not asked any more.
    private func ask<Answer>(_ wanted: LiveModel, _ body: (TorchModel) throws -> Answer) throws -> Answer {
        guard mayContinue() else { throw TorchError.cancelled }
        if let lost = lost[wanted.id], lost.count >= Self.mostLostProcesses { throw TorchError.process(lost.last) }
        do {
            return try body(model(wanted))
        } catch TorchError.process(let failure) {
            loaded = nil
            if failure.kind == .forbidden {
                shelf.setAside(wanted.version.package, name: wanted.manifest.name, because: failure.reason)
            }
            lost[wanted.id] = ((lost[wanted.id]?.count ?? 0) + 1, failure)
            throw TorchError.process(failure)
        }
    }

    /// Nil when the package names no layer, or one that says nothing.
    private func activationMap(
        _ model: TorchModel, _ wanted: LiveModel, _ input: [Float], _ finding: Int
    ) throws -> Relevance? {
        guard let layer = wanted.manifest.explanation?.layer else { return nil }
        do {
            return try model.activationMap(of: input, finding: finding, layer: layer)
        } catch TorchError.layer(let reason) {
            if refused.insert(wanted.id).inserted {
                log.notice("\(wanted.manifest.name): \(reason); heat maps are made by covering parts of the input")
            }
            return nil
        }
    }

    private func model(_ wanted: LiveModel) throws -> TorchModel {
        if let loaded, loaded.id == wanted.id { return loaded.model }
        // Two big models need not be in memory at once.
        loaded = nil
        let model = try TorchModel(
            file: wanted.modelFile, manifest: wanted.manifest, in: shelf.sandbox, pace: .patient)
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
            case .activation(let layer): "Grad-CAM of \(layer)"
            case .mask: "its mask"
            }
        self.init(rows: relevance.rows, columns: relevance.columns, values: relevance.values, method: method)
    }
}
