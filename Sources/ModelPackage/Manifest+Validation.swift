// SPDX-License-Identifier: GPL-3.0-or-later

extension Manifest {
    /// Checks what the types do not: ranges, lengths that must agree, names that must be unique.
    ///
    /// - Throws: `ModelPackageError` for the first thing that is wrong.
    public func validate() throws(ModelPackageError) {
        guard gantry == 1 else {
            throw wrong("gantry", "format version \(gantry) is not known", "write 1, or use a newer Gantry")
        }
        guard Self.isName(name) else {
            throw wrong(
                "name", "“\(name.prefix(80))” is not a short name",
                "use 1 to 64 lower-case letters, digits and “-”, such as “head-ct-haemorrhage”")
        }
        guard !title.isEmpty else { throw wrong("title", "it is empty", "write the model's name for people") }
        guard !intendedUse.isEmpty else {
            throw wrong("intended_use", "it is empty", "write in one sentence what the model is for")
        }
        try validatePreprocessing()
        try validateFindings()
        if case .meanOfTop(let count) = sliceRule, count < 1 {
            throw wrong("slice_rule.mean_of_top", "\(count) slices have no mean", "write 1 or more")
        }
        try validateTraining()
        if let layer = explanation?.layer, !(1...256).contains(layer.utf8.count) {
            throw wrong(
                "explanation.layer", "\(layer.utf8.count) characters are no path of a module",
                "write one that named_modules() gives, or leave the explanation out")
        }
        if let masks { try validate(masks) }
        guard guardRule.margin >= 0, guardRule.margin <= 1 else {
            throw wrong("guard.margin", "\(guardRule.margin) is not between 0 and 1", "write a number such as 0.02")
        }
        guard guardRule.tolerance >= 0, guardRule.tolerance <= 1 else {
            throw wrong(
                "guard.tolerance", "\(guardRule.tolerance) is not between 0 and 1", "write a number such as 0.05")
        }
        guard guardRule.minimumLabelsPerClass >= 1 else {
            throw wrong(
                "guard.minimum_labels_per_class", "\(guardRule.minimumLabelsPerClass) labels can judge nothing",
                "write 1 or more")
        }
    }

    private func validatePreprocessing() throws(ModelPackageError) {
        for (key, value) in [("height", preprocessing.height), ("width", preprocessing.width)] {
            guard (8...4096).contains(value) else {
                throw wrong("preprocessing.\(key)", "\(value) pixels", "write a number between 8 and 4096")
            }
        }
        guard (1...16).contains(preprocessing.channels.count) else {
            throw wrong(
                "preprocessing.channels", "\(preprocessing.channels.count) channels",
                "list between 1 and 16, for example [\"percentiles\"]")
        }
        for (index, channel) in preprocessing.channels.enumerated() {
            if case .window(let center, let width) = channel, !(center.isFinite && width.isFinite && width > 0) {
                throw wrong("preprocessing.channels[\(index)].window.width", "\(width)", "write a width above 0")
            }
        }
        if let spacing = preprocessing.pixelSpacingMillimetres, !(spacing >= 0.01 && spacing <= 100) {
            throw wrong(
                "preprocessing.pixel_spacing_mm", "\(spacing) mm", "write a number between 0.01 and 100 or leave it out"
            )
        }
        if let normalise = preprocessing.normalise {
            let channels = preprocessing.channels.count
            guard normalise.mean.count == channels, normalise.deviation.count == channels else {
                throw wrong(
                    "preprocessing.normalise",
                    "\(normalise.mean.count) means and \(normalise.deviation.count) deviations for \(channels) channels",
                    "give one of each for each channel")
            }
            guard normalise.deviation.allSatisfy({ $0 > 0 && $0.isFinite }), normalise.mean.allSatisfy(\.isFinite)
            else {
                throw wrong("preprocessing.normalise.deviation", "a deviation is not above 0", "write positive numbers")
            }
        }
    }

    private func validateFindings() throws(ModelPackageError) {
        guard (1...256).contains(findings.count) else {
            throw wrong("findings", "\(findings.count) findings", "list one for each output of the model, 1 to 256")
        }
        var seen: Set<String> = []
        for (index, finding) in findings.enumerated() {
            let key = "findings[\(index)]"
            guard Self.isName(finding.name) else {
                throw wrong(
                    "\(key).name", "“\(finding.name.prefix(80))” is not a short name",
                    "use 1 to 64 lower-case letters, digits and “-”")
            }
            guard seen.insert(finding.name).inserted else {
                throw wrong("\(key).name", "“\(finding.name)” is used twice", "give each finding its own name")
            }
            guard finding.threshold > 0, finding.threshold <= 1 else {
                throw wrong(
                    "\(key).threshold", "\(finding.threshold) is not a probability above 0",
                    "write a number such as 0.5")
            }
        }
    }

    private func validate(_ masks: Masks) throws(ModelPackageError) {
        guard (1...preprocessing.height * preprocessing.width).contains(masks.minimumPixels) else {
            throw wrong(
                "masks.minimum_pixels", "\(masks.minimumPixels) places of a mask",
                "write a number from 1 to \(preprocessing.height * preprocessing.width)")
        }
        guard training.loss == .binaryCrossEntropy else {
            throw wrong(
                "training.loss", "the masks of a segmentation model are judged place by place", "write \"bce\"")
        }
        guard explanation == nil else {
            throw wrong(
                "explanation", "the heat map of a segmentation model is its mask", "leave the explanation out")
        }
    }

    private func validateTraining() throws(ModelPackageError) {
        if training.loss == .crossEntropy, findings.count < 2 {
            throw wrong(
                "training.loss", "cross_entropy chooses between findings and there is only one", "write \"bce\"")
        }
        if case .named(let names) = training.parameters, names.isEmpty {
            throw wrong("training.parameters", "the list is empty", "name at least one module, or write \"all\"")
        }
        guard training.learningRate > 0, training.learningRate <= 10 else {
            throw wrong("training.learning_rate", "\(training.learningRate)", "write a number such as 0.001")
        }
        guard training.weightDecay >= 0, training.weightDecay <= 1 else {
            throw wrong("training.weight_decay", "\(training.weightDecay)", "write a number between 0 and 1")
        }
        guard training.momentum >= 0, training.momentum < 1 else {
            throw wrong("training.momentum", "\(training.momentum)", "write a number from 0 to below 1")
        }
        guard (1...1000).contains(training.epochs) else {
            throw wrong("training.epochs", "\(training.epochs)", "write a number between 1 and 1000")
        }
        guard (1...1024).contains(training.batchStudies) else {
            throw wrong("training.batch_studies", "\(training.batchStudies)", "write a number between 1 and 1024")
        }
    }

    private func wrong(_ key: String, _ problem: String, _ fix: String) -> ModelPackageError {
        ModelPackageError(file: Self.path, key: key, problem: problem, fix: fix)
    }

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }
}
