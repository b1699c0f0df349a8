// SPDX-License-Identifier: GPL-3.0-or-later
import Federation

/// What a site says about its labels, as far as it is believed.
public enum LabelCount {
    /// More studies than this no site labels.
    public static let most = Admission.weights.upperBound

    public static func training(_ said: SiteState.PackageState) -> Int { min(max(0, said.trainingLabels), most) }

    /// What grows with every new label: the studies that were ever labelled, or where a site does not count them, the ones
    /// that it holds.
    public static func total(_ said: SiteState.PackageState) -> Int {
        min(max(0, said.labelledStudies ?? said.trainingLabels), most)
    }

    /// A label is new once: however many a site claims, no more than its total has grown since its last round that was
    /// counted.
    ///
    /// - Parameter counted: the site's total in that round, 0 before the first.
    public static func new(_ said: SiteState.PackageState, counted: Int) -> Int {
        max(0, min(said.newLabels, total(said) - counted, training(said)))
    }
}
