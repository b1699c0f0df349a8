// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Tensors

extension ModelCheck {
    /// How far a score may be from the one that PyTorch gives: other kernels add up in another order.
    private static let scoreTolerance: Float = 1e-4

    /// Compares the model's scores with those that are known.
    ///
    /// - Parameter file: safetensors with `inputs`, inputs × channels × height × width as the model takes them, that is after
    ///   preprocessing, and `scores`, inputs × findings, as probabilities.
    func checkScores(_ model: TorchModel, _ file: URL) throws -> String {
        let known: TensorMap
        do {
            known = try Safetensors.read(file)
        } catch {
            throw Problem(text: "\(file.path): \(error)", fix: "write it with safetensors.torch.save_file")
        }
        let inputs = try tensor(
            "inputs", [model.shape.channels, model.shape.height, model.shape.width], of: known, in: file)
        let scores = try tensor("scores", [package.manifest.findings.count], of: known, in: file)
        guard inputs.shape[0] == scores.shape[0], inputs.shape[0] > 0 else {
            throw Problem(
                text: "\(file.path): \(inputs.shape[0]) inputs and \(scores.shape[0]) rows of scores",
                fix: "write one row of scores for each input")
        }
        let own = try model.score(inputs.values, count: inputs.shape[0])
        let differences = zip(own, scores.values).map { abs($0 - $1) }
        if let index = differences.firstIndex(where: { !($0 <= Self.scoreTolerance) }) {
            let findings = scores.shape[1]
            throw Problem(
                text:
                    "input \(index / findings) scores \(own[index]) for \(package.manifest.findings[index % findings].name), "
                    + "\(scores.values[index]) is expected",
                fix:
                    "check that the scores are probabilities of this very model in evaluation mode, for inputs of type float32"
            )
        }
        return "\(own.count) of \(own.count) as expected, the largest difference is "
            + String(format: "%.1e", differences.max() ?? 0)
    }

    /// A tensor of any length with the given further dimensions.
    private func tensor(_ name: String, _ shape: [Int], of map: TensorMap, in file: URL) throws -> Tensor {
        guard let tensor = map.tensors[name] else {
            throw Problem(text: "\(file.path): no tensor “\(name)”", fix: "save the tensors “inputs” and “scores”")
        }
        guard tensor.shape.count == shape.count + 1, Array(tensor.shape.dropFirst()) == shape else {
            let wanted = (["inputs"] + shape.map(String.init)).joined(separator: " × ")
            throw Problem(
                text: "\(file.path): “\(name)” has the shape \(tensor.shape)", fix: "give it the shape \(wanted)")
        }
        return tensor
    }
}
