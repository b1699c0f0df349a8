// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Tensors
import Torch
import WorkerStore

extension ModelShelf {
    /// A version's model with its parameters, for the calling thread alone, which has time.
    func load(_ row: VersionRow, _ manifest: Manifest) throws -> TorchModel {
        let file = directory(row.version.package).appending(path: ModelPackage.modelPath)
        let model = try TorchModel(file: file, manifest: manifest, in: sandbox, pace: .patient)
        try model.setParameters(try Safetensors.read(parametersFile(row.version.parameters)))
        return model
    }

    /// - Throws: what is wrong with what a version says, or why it cannot run.
    func checkAnswers(of version: ModelVersion, _ manifest: Manifest) throws {
        let model = try load(VersionRow(version: version, round: 0, state: .candidate, decidedAt: 0), manifest)
        try AnswerCheck.run(manifest) { try model.score($0, count: 1) }
    }
}

extension Manifest {
    /// The study's probability of each finding, from those of its slices.
    func studyProbabilities(_ slices: [Float]) -> [Double] {
        findings.indices.map { finding in
            let values = stride(from: finding, to: slices.count, by: findings.count).map { Double(slices[$0]) }
            return sliceRule.probability(of: values) ?? 0
        }
    }
}
