// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import Statistics
import Triage

/// The figures of one finding of a model version on the site's held-out labels, as they are kept.
public struct ValidationRow: Sendable, Equatable {
    /// `ModelVersion.id`
    public var version: String
    public var finding: String
    /// The operating threshold that the figures are about.
    public var threshold: Double
    public var figures: OperatingFigures
    public var areaUnderCurve: SiteValidation.Estimate?
    public var calibrationLabels: Int?
    /// When they became these, in Unix milliseconds UTC.
    public var at: Int64

    public init(
        version: String, finding: String, threshold: Double, studies: [ScoredStudy], calibrationLabels: Int?, at: Int64
    ) {
        self.version = version
        self.finding = finding
        self.threshold = threshold
        figures = ROCCurve(studies).figures(at: threshold)
        areaUnderCurve = AreaUnderCurve(studies).map {
            SiteValidation.Estimate(value: $0.value, interval: $0.interval)
        }
        self.calibrationLabels = calibrationLabels
        self.at = at
    }

    init(_ row: Row) {
        version = row["model_version"]
        finding = row["finding"]
        threshold = row["threshold"]
        figures = OperatingFigures(
            positives: row["positives"], negatives: row["negatives"], truePositives: row["true_positives"],
            trueNegatives: row["true_negatives"])
        if let value: Double = row["auc"], let low: Double = row["auc_low"], let high: Double = row["auc_high"],
            low <= high
        {
            areaUnderCurve = SiteValidation.Estimate(value: value, interval: low...high)
        }
        calibrationLabels = row["calibration_labels"]
        at = row["at_ms"]
    }

    /// As a flag carries it; nil without labels.
    public var validation: SiteValidation? {
        SiteValidation(figures, areaUnderCurve: areaUnderCurve, calibrationLabels: calibrationLabels, at: at)
    }
}
