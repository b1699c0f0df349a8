// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// libtorch's SGD or Adam over the parameters that a plan selects.
final class Optimiser {
    /// The names of the parameters that train.
    let trained: Set<String>
    private let model: TorchModel

    init(_ model: TorchModel, _ plan: TrainingPlan) throws(TorchError) {
        self.model = model
        let names = Set(plan.parameters.selection(from: model.declaredNames))
        trained = names
        guard !names.isEmpty else {
            throw .nothingTrainable(
                reason: model.declaredNames.isEmpty
                    ? "the model has no parameters (it was frozen on export); export it without freezing"
                    : "training.parameters selects none of the model's parameters "
                        + "(\(model.declaredNames.prefix(3).joined(separator: ", ")), …)")
        }
        try model.beginTraining(
            names,
            ModelMessage.Optimisation(
                isAdam: plan.optimiser == .adam, weightDecay: plan.weightDecay, momentum: plan.momentum,
                longestGradient: Trainer.longestGradient))
    }

    /// Adds gradients: `outputGradients` is the derivative of the loss by each output of each of the slices.
    func accumulate(_ slices: Data, count: Int, _ outputGradients: [Float]) throws(TorchError) {
        try model.accumulate(slices, count: count, outputGradients)
    }

    /// One step with the gradients since the last one.
    func step(learningRate: Double) throws(TorchError) {
        try model.step(learningRate: learningRate)
    }
}
