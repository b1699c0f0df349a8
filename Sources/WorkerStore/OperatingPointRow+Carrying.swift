// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Statistics
import Triage

extension OperatingPointRow {
    /// This point for a version that takes the place of its own: the same goal, chosen anew on the same site's labels,
    /// since the new version's probabilities are others.
    ///
    /// A threshold that was given by hand is carried by the sensitivity that it had. Where that fails, for want of labels
    /// or because no threshold does it, the package's own threshold takes over.
    ///
    /// - Parameters:
    ///   - old: what this point's version says about held-out studies.
    ///   - new: what the new version says about them.
    /// - Returns: nil when there is nothing to carry, because this is the package's threshold.
    public func carried(
        to version: ModelVersion, old: [ScoredStudy], new: [ScoredStudy], at: Int64
    ) -> OperatingPointRow? {
        guard let threshold, var goal else { return nil }
        func lost(_ reason: String) -> OperatingPointRow {
            OperatingPointRow(
                version: version, finding: finding, origin: .lost, goal: goal, minimumPerClass: minimumPerClass,
                positives: new.count { $0.isPresent }, negatives: new.count { !$0.isPresent }, reason: reason, at: at)
        }
        if case .threshold = goal {
            guard let sensitivity = ROCCurve(old).figures(at: threshold).sensitivity else {
                return lost("no held-out label says present, so the sensitivity of the threshold is not known")
            }
            goal = .sensitivity(sensitivity.value)
        }
        do {
            let calibration = try Calibration(new, goal: goal, minimumPerClass: minimumPerClass)
            return OperatingPointRow(
                calibration, version: version, finding: finding, origin: .carried, minimumPerClass: minimumPerClass,
                by: "", at: at)
        } catch {
            return lost("\(error)")
        }
    }
}
