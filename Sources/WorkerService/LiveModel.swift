// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// A model version that can score: what it is and where its files are.
struct LiveModel: Sendable, Equatable {
    var version: ModelVersion
    /// `version.id`
    var id: Hash
    var manifest: Manifest
    /// The TorchScript file.
    var modelFile: URL
    /// The version's parameters as safetensors.
    var parametersFile: URL
    /// Closed rounds that led to it.
    var round: Int
    /// Unix milliseconds UTC since when it is live.
    var since: Int64
}
