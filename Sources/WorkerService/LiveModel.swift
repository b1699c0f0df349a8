// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage

/// A model version that can score: what it is and where its files are.
struct LiveModel: Sendable, Equatable {
    var version: ModelVersion
    /// `version.id`
    var id: Hash
    /// The package's, with this site's operating thresholds in the place of its own.
    var manifest: Manifest
    /// The TorchScript file.
    var modelFile: URL
    /// The version's parameters as safetensors.
    var parametersFile: URL
    /// Closed rounds that led to it.
    var round: Int
    /// Unix milliseconds UTC since when it is live.
    var since: Int64
    /// Findings whose threshold this site has chosen.
    var siteFindings: Set<String> = []

    /// From now on a finding is positive from this threshold on.
    mutating func use(_ threshold: Double, for finding: String, of origin: ThresholdOrigin) {
        guard let index = manifest.findings.firstIndex(where: { $0.name == finding }) else { return }
        manifest.findings[index].threshold = threshold
        if origin == .site { siteFindings.insert(finding) } else { siteFindings.remove(finding) }
    }
}
