// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Tensors

/// Makes model packages and completes those that came from elsewhere.
public enum PackageWriter {
    /// Writes a package with a new `SmallCNN`.
    ///
    /// - Parameter directory: must not exist.
    public static func write(
        manifest: Manifest, seed: UInt64, to directory: URL, in sandbox: ModelSandbox = .standard
    ) throws -> ModelPackage {
        try manifest.validate()
        guard !FileManager.default.fileExists(atPath: directory.path) else {
            throw ModelPackageError(
                file: directory.path, problem: "it exists already", fix: "choose another directory or remove it")
        }
        do {
            for folder in ["models", "configs"] {
                try FileManager.default.createDirectory(
                    at: directory.appending(path: folder), withIntermediateDirectories: true)
            }
            try manifest.encoded().write(to: directory.appending(path: Manifest.path))
            try Metadata(describing: manifest, authors: "made by gantry model new, untrained").encoded()
                .write(to: directory.appending(path: Metadata.path))
            try SmallCNN.write(
                for: manifest, seed: seed, to: directory.appending(path: ModelPackage.modelPath), in: sandbox)
            return try prepare(directory, in: sandbox)
        } catch {
            // Half a package would be in the way of the next try.
            try? FileManager.default.removeItem(at: directory)
            throw error
        }
    }

    /// Writes `models/parameters.safetensors` from the model's own parameters.
    ///
    /// - Returns: the package as it is then; its hash has changed.
    public static func prepare(_ directory: URL, in sandbox: ModelSandbox = .standard) throws -> ModelPackage {
        let package = try ModelPackage(directory: directory)
        let parameters = try TorchModel(file: package.modelFile, manifest: package.manifest, in: sandbox)
            .parameters()
        guard !parameters.tensors.isEmpty else {
            throw ModelPackageError(
                file: ModelPackage.modelPath, problem: "the module has no parameters",
                fix:
                    "export it without torch.jit.freeze or optimize_for_inference, which turn parameters into constants"
            )
        }
        if let bad = parameters.firstNonFinite {
            throw ModelPackageError(
                file: ModelPackage.modelPath, problem: bad.description, fix: "export a model that trained well")
        }
        try Safetensors.write(parameters, to: package.parametersFile)
        return try ModelPackage(directory: directory)
    }
}
