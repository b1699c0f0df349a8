// SPDX-License-Identifier: GPL-3.0-or-later
import Statistics

/// How well a model version finds something at this site: on labelled studies that it was never trained on, at the
/// operating threshold.
public struct SiteValidation: Codable, Sendable, Equatable {
    /// A share or an area, 0…1, with its 95 % interval.
    public struct Estimate: Codable, Sendable, Equatable {
        public var value: Double
        public var low: Double
        public var high: Double

        public init(value: Double, interval: ClosedRange<Double>) {
            self.value = value
            low = interval.lowerBound
            high = interval.upperBound
        }

        init(_ proportion: Proportion) { self.init(value: proportion.value, interval: proportion.interval) }
    }

    /// Held-out studies with a label for the finding.
    public var labels: Int
    /// Of these, the ones that have it.
    public var positives: Int
    /// Share of the studies with the finding that are flagged; nil without positives.
    public var sensitivity: Estimate?
    /// Share of the studies without it that are not flagged; nil without negatives.
    public var specificity: Estimate?
    /// Area under the ROC curve; nil when one class is missing.
    public var areaUnderCurve: Estimate?
    /// How many labels chose the operating threshold, when this site's did: figures on the same labels flatter a little.
    public var calibrationLabels: Int?
    /// When the figures became these, in Unix milliseconds UTC.
    public var at: Int64

    enum CodingKeys: String, CodingKey {
        case labels, positives, sensitivity, specificity
        case areaUnderCurve = "auc"
        case calibrationLabels = "calibration_labels"
        case at = "at_ms"
    }

    /// - Returns: nil without labels.
    public init?(_ figures: OperatingFigures, areaUnderCurve: Estimate?, calibrationLabels: Int?, at: Int64) {
        labels = figures.positives + figures.negatives
        guard labels > 0 else { return nil }
        positives = figures.positives
        sensitivity = figures.sensitivity.map(Estimate.init)
        specificity = figures.specificity.map(Estimate.init)
        self.areaUnderCurve = areaUnderCurve
        self.calibrationLabels = calibrationLabels
        self.at = at
    }
}
