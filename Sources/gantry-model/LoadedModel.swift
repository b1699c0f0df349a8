// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
import Torch

/// The module that the process runs, and the optimiser that trains it. Its memory is the process's.
final class LoadedModel {
    let layout: ModelMessage.Layout
    let parameters: [ModelMessage.Parameter]
    private let handle: OpaquePointer
    private var optimiser: OpaquePointer?

    /// - Parameter file: a TorchScript file.
    init(_ file: UnsafeRawBufferPointer, _ layout: ModelMessage.Layout) throws(ShimFailure) {
        self.layout = layout
        var loaded: OpaquePointer?
        try shim { gantry_torch_model_load(file.baseAddress, file.count, &loaded, $0, $1) }
        guard let loaded else { throw ShimFailure(code: Int32(GANTRY_TORCH_FAILED), text: "no module") }
        handle = loaded
        if layout.leastPlaces > 0 { gantry_torch_model_set_masks(loaded, Int64(layout.leastPlaces)) }
        var list: [ModelMessage.Parameter] = []
        for index in 0..<gantry_torch_parameter_count(loaded) { list.append(try Self.parameter(loaded, index)) }
        parameters = list
    }

    private static func parameter(
        _ handle: OpaquePointer, _ index: Int
    ) throws(ShimFailure) -> ModelMessage.Parameter {
        var name: UnsafePointer<CChar>?
        var rank = 0
        var dimensions = [Int64](repeating: 0, count: 16)
        var trains: Int32 = 0
        try shim { gantry_torch_parameter(handle, index, &name, &rank, &dimensions, dimensions.count, &trains, $0, $1) }
        guard let name, rank <= dimensions.count else {
            throw ShimFailure(code: Int32(GANTRY_TORCH_FAILED), text: "a parameter has \(rank) dimensions")
        }
        return ModelMessage.Parameter(name: String(cString: name), shape: dimensions.prefix(rank).map(Int.init))
    }

    /// `count` inputs that lie at `values`.
    private func batch(_ values: UnsafeRawPointer?, isHalf: Bool, count: Int) -> gantry_torch_inputs {
        gantry_torch_inputs(
            values: values, is_half: isHalf ? 1 : 0, count: Int64(count), channels: Int64(layout.channels),
            height: Int64(layout.height), width: Int64(layout.width))
    }

    /// Bytes of `count` inputs.
    func bytes(of count: Int, isHalf: Bool) -> Int {
        count * layout.channels * layout.height * layout.width * (isHalf ? 2 : 4)
    }

    func run(
        _ inputs: UnsafeRawPointer?, count: Int, isHalf: Bool, isOptimised: Bool,
        to outputs: UnsafeMutablePointer<Float>
    ) throws(ShimFailure) {
        var batch = batch(inputs, isHalf: isHalf, count: count)
        let findings = Int64(layout.findings)
        try shim {
            isOptimised
                ? gantry_torch_score(handle, &batch, findings, outputs, $0, $1)
                : gantry_torch_forward(handle, &batch, findings, outputs, $0, $1)
        }
    }

    /// - Parameter output: for the activation of a layer; nil: the masks.
    func map(
        _ input: UnsafeRawPointer?, activation: (output: Int, layer: String)?,
        to values: UnsafeMutableBufferPointer<Float>
    ) throws(ShimFailure) -> (rows: Int, columns: Int) {
        var batch = batch(input, isHalf: false, count: 1)
        let findings = Int64(layout.findings)
        let places = layout.height * layout.width
        var rows: Int64 = 0
        var columns: Int64 = 0
        try shim {
            if let activation {
                gantry_torch_activation_map(
                    handle, &batch, findings, Int64(activation.output), activation.layer, values.baseAddress,
                    min(values.count, places), &rows, &columns, $0, $1)
            } else {
                gantry_torch_masks(
                    handle, &batch, findings, values.baseAddress, min(values.count, layout.findings * places), &rows,
                    &columns, $0, $1)
            }
        }
        return (Int(rows), Int(columns))
    }

    // MARK: Parameters

    func readParameters(to values: UnsafeMutableBufferPointer<Float>) throws(ShimFailure) {
        try forEachParameter(in: values.count) { index, place, count throws(ShimFailure) in
            let target = values.baseAddress.map { $0 + place }
            try shim { gantry_torch_parameter_read(handle, index, target, count, $0, $1) }
        }
    }

    func writeParameters(from values: UnsafeBufferPointer<Float>) throws(ShimFailure) {
        try forEachParameter(in: values.count) { index, place, count throws(ShimFailure) in
            let source = values.baseAddress.map { $0 + place }
            try shim { gantry_torch_parameter_write(handle, index, source, count, $0, $1) }
        }
    }

    private func forEachParameter(
        in room: Int, _ body: (_ index: Int, _ place: Int, _ count: Int) throws(ShimFailure) -> Void
    ) throws(ShimFailure) {
        var place = 0
        for (index, parameter) in parameters.enumerated() {
            let count = parameter.shape.reduce(1, *)
            guard place + count <= room else {
                throw ShimFailure(code: Int32(GANTRY_TORCH_FAILED), text: "the parameters are larger than their file")
            }
            try body(index, place, count)
            place += count
        }
    }

    // MARK: Training

    func beginTraining(
        _ selection: UnsafeRawPointer?, _ optimisation: ModelMessage.Optimisation
    ) throws(ShimFailure) {
        if let optimiser { gantry_torch_trainer_free(optimiser) }
        optimiser = nil
        var options = gantry_torch_optimiser(
            kind: Int32(optimisation.isAdam ? GANTRY_TORCH_ADAM : GANTRY_TORCH_SGD),
            weight_decay: optimisation.weightDecay, momentum: optimisation.momentum,
            longest_gradient: optimisation.longestGradient)
        let trained = selection?.assumingMemoryBound(to: UInt8.self)
        var made: OpaquePointer?
        try shim { gantry_torch_trainer_new(handle, trained, parameters.count, &options, &made, $0, $1) }
        optimiser = made
    }

    func accumulate(
        _ inputs: UnsafeRawPointer?, count: Int, gradients: UnsafePointer<Float>
    ) throws(ShimFailure) {
        let optimiser = try training()
        var batch = batch(inputs, isHalf: true, count: count)
        try shim {
            gantry_torch_trainer_accumulate(optimiser, &batch, Int64(layout.findings), gradients, $0, $1)
        }
    }

    func step(learningRate: Double) throws(ShimFailure) {
        let optimiser = try training()
        try shim { gantry_torch_trainer_step(optimiser, learningRate, $0, $1) }
    }

    private func training() throws(ShimFailure) -> OpaquePointer {
        guard let optimiser else {
            throw ShimFailure(code: Int32(GANTRY_TORCH_ARGUMENT), text: "training has not begun")
        }
        return optimiser
    }
}
