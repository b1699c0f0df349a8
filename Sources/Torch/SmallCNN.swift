// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
import Foundation
import ModelPackage

/// A convolutional network of about 100,000 parameters that is made here, without Python.
///
/// Each stage is a 3 × 3 convolution that halves height and width, GroupNorm and ReLU; then the mean and the maximum of
/// every feature over the image, side by side, and one linear layer. GroupNorm, since BatchNorm's running statistics do not
/// survive averaging between hospitals (Hsieh et al. 2020, "The non-IID data quagmire of decentralized machine
/// learning"); the maximum, since a small lesion hardly moves a mean.
public enum SmallCNN {
    /// The features of each stage.
    static let widths: [Int64] = [16, 32, 64, 128]

    /// Writes the network with weights drawn from `seed` as TorchScript.
    public static func write(for manifest: Manifest, seed: UInt64, to url: URL) throws(TorchError) {
        try TorchError.check {
            gantry_torch_make_small_cnn(
                url.path, Int64(manifest.preprocessing.channels.count), Int64(manifest.findings.count), widths,
                widths.count, seed, $0, $1)
        }
    }
}
