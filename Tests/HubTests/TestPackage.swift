// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import Tensors

/// A package whose model nobody runs: the hub only ever reads its parameters.
enum TestPackage {
    static let base = TensorMap([
        "encoder.weight": Tensor(shape: [2, 3], values: [1, 2, 3, 4, 5, 6]),
        "head.bias": Tensor(shape: [2], values: [0.5, -0.5]),
    ])

    static func make(
        in folder: URL, name: String = "test-model", parameters: TensorMap? = base,
        trains: TrainingDefaults.Trainable = .all
    ) throws -> ModelPackage {
        let directory = folder.appending(path: "package-\(name)")
        for part in ["models", "configs"] {
            try FileManager.default.createDirectory(
                at: directory.appending(path: part), withIntermediateDirectories: true)
        }
        let manifest = Manifest(
            name: name, title: "Test model", intendedUse: "Tests only.", takes: Applicability(modalities: ["CT"]),
            preprocessing: Preprocessing(height: 8, width: 8, channels: [.ownWindow]),
            findings: [Finding(name: "thing", title: "Thing", code: nil, threshold: 0.5, urgency: .urgent)],
            sliceRule: .maximum, training: TrainingDefaults(parameters: trains), guardRule: GuardRule())
        try manifest.encoded().write(to: directory.appending(path: "configs/gantry.json"))
        try Data("no model".utf8).write(to: directory.appending(path: "models/model.ts"))
        if let parameters {
            try Safetensors.write(parameters, to: directory.appending(path: "models/parameters.safetensors"))
        }
        return try ModelPackage(directory: directory)
    }

    /// A delta in which every value is `value`.
    static func delta(_ value: Float, like map: TensorMap = base) -> TensorMap {
        TensorMap(map.tensors.mapValues { Tensor(shape: $0.shape, values: $0.values.map { _ in value }) })
    }

    static func manifest(
        _ bytes: Data, round: Int, base: Hash, examples: Int = 10, codec: String = "f32", hash: Hash? = nil,
        size: Int? = nil
    ) -> DeltaManifest {
        DeltaManifest(
            round: round, base: base, examples: examples, hash: hash ?? Hash(of: bytes), bytes: size ?? bytes.count,
            codec: codec, metrics: .init(lossFirstEpoch: 0.7, lossLastEpoch: 0.5, seconds: 1))
    }
}
