// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
import ModelPackage

/// libtorch's SGD or Adam over the parameters that a plan selects.
final class Optimiser {
    /// The names of the parameters that train.
    let trained: Set<String>
    private let model: TorchModel
    private let handle: OpaquePointer

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
        let selection = model.declaredNames.map { names.contains($0) ? UInt8(1) : 0 }
        var options = gantry_torch_optimiser(
            kind: Int32(plan.optimiser == .sgd ? GANTRY_TORCH_SGD : GANTRY_TORCH_ADAM),
            weight_decay: plan.weightDecay, momentum: plan.momentum, longest_gradient: Trainer.longestGradient)
        var handle: OpaquePointer?
        let raw = model.handle
        try TorchError.check {
            gantry_torch_trainer_new(raw, selection, selection.count, &options, &handle, $0, $1)
        }
        guard let handle else { throw .run(reason: "no optimiser") }
        self.handle = handle
    }

    deinit { gantry_torch_trainer_free(handle) }

    /// Adds gradients: `outputGradients` is the derivative of the loss by each output of each of the slices.
    func accumulate(_ slices: HalfBuffer, count: Int, _ outputGradients: [Float]) throws(TorchError) {
        try slices.withBytes { bytes throws(TorchError) in
            var batch = model.shape.batch(bytes, isHalf: true, count: count)
            try TorchError.check {
                gantry_torch_trainer_accumulate(
                    handle, &batch, Int64(model.manifest.findings.count), outputGradients, $0, $1)
            }
        }
    }

    /// One step with the gradients since the last one.
    func step(learningRate: Double) throws(TorchError) {
        try TorchError.check { gantry_torch_trainer_step(handle, learningRate, $0, $1) }
    }
}
