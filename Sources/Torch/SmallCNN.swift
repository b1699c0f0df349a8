// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// A convolutional network of about 100,000 parameters that is made here, without Python.
///
/// Each stage is a 3 × 3 convolution that halves height and width, GroupNorm and ReLU. The mean and the maximum of every
/// feature of every stage over the image go into one linear layer: the maximum, since a small lesion hardly moves a mean; all
/// stages, since what few labels teach is mostly in the early ones. GroupNorm, since BatchNorm's running statistics do not
/// survive averaging between hospitals (Hsieh et al. 2020, "The non-IID data quagmire of decentralized machine learning").
/// Half of the filters start as smoothing filters, which is what lets it learn from some twenty studies.
public enum SmallCNN {
    /// The features of each stage.
    static let widths: [Int64] = [16, 32, 64, 128]

    /// What heat maps are made from: the head reads every stage, and in this one, a quarter of the input high and wide, a
    /// lesion is still a place of its own (the last stage has 8 × 8 places).
    public static let explanation = Manifest.Explanation(layer: "stage2")

    /// Writes the network with weights drawn from `seed` as TorchScript. A model process makes it, since it takes libtorch.
    public static func write(
        for manifest: Manifest, seed: UInt64, to url: URL, in sandbox: ModelSandbox = .standard
    ) throws {
        let process = try ModelProcess(
            in: sandbox, inputBytes: 1, outputBytes: mostBytes, threads: 1, pace: .prompt)
        let question = ModelMessage.makeSmallCNN(
            channels: manifest.preprocessing.channels.count, findings: manifest.findings.count, widths: widths,
            seed: seed)
        guard case .made(let bytes) = try process.ask(question), (1...mostBytes).contains(bytes) else {
            throw process.nonsense()
        }
        try Data(UnsafeRawBufferPointer(rebasing: process.memory.output[..<bytes])).write(to: url)
    }

    private static let mostBytes = 64 << 20
}
