// SPDX-License-Identifier: GPL-3.0-or-later

/// When a new global model may replace the live one at a site.
public struct GuardRule: Codable, Sendable, Equatable {
    /// How much worse the held-out AUC (mean over findings) may be.
    public var margin: Double
    /// Held-out labels of each class without which a new model is not judged and does not go live.
    public var minimumLabelsPerClass: Int
    /// How much lower the sensitivity or specificity at the operating threshold may be.
    public var tolerance: Double

    enum CodingKeys: String, CodingKey {
        case margin, tolerance
        case minimumLabelsPerClass = "minimum_labels_per_class"
    }

    public init(margin: Double = 0.02, minimumLabelsPerClass: Int = 2, tolerance: Double = 0.05) {
        self.margin = margin
        self.minimumLabelsPerClass = minimumLabelsPerClass
        self.tolerance = tolerance
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let defaults = GuardRule()
        margin = try values.decodeIfPresent(Double.self, forKey: .margin) ?? defaults.margin
        minimumLabelsPerClass =
            try values.decodeIfPresent(Int.self, forKey: .minimumLabelsPerClass) ?? defaults.minimumLabelsPerClass
        tolerance = try values.decodeIfPresent(Double.self, forKey: .tolerance) ?? defaults.tolerance
    }
}
