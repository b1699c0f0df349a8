// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Triage

/// As a decision stands in `operating-points.json`.
extension OperatingPointRow: Codable {
    private enum CodingKeys: String, CodingKey {
        case package, parameters, finding, origin, threshold, goal, positives, negatives, reason, by
        case goalValue = "goal_value"
        case minimumPerClass = "minimum_per_class"
        case at = "at_ms"
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let origin = try values.decode(String.self, forKey: .origin)
        guard let origin = Origin(rawValue: origin) else {
            throw DecodingError.dataCorruptedError(forKey: .origin, in: values, debugDescription: "unknown: \(origin)")
        }
        let goal = try values.decodeIfPresent(String.self, forKey: .goal)
        self.init(
            version: ModelVersion(
                package: try values.decode(Hash.self, forKey: .package),
                parameters: try values.decode(Hash.self, forKey: .parameters)),
            finding: try values.decode(String.self, forKey: .finding), origin: origin,
            threshold: try values.decodeIfPresent(Double.self, forKey: .threshold),
            goal: try goal.flatMap {
                CalibrationGoal(name: $0, value: try values.decode(Double.self, forKey: .goalValue))
            },
            minimumPerClass: try values.decode(Int.self, forKey: .minimumPerClass),
            positives: try values.decode(Int.self, forKey: .positives),
            negatives: try values.decode(Int.self, forKey: .negatives),
            reason: try values.decode(String.self, forKey: .reason), by: try values.decode(String.self, forKey: .by),
            at: try values.decode(Int64.self, forKey: .at))
    }

    public func encode(to encoder: Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(version.package, forKey: .package)
        try values.encode(version.parameters, forKey: .parameters)
        try values.encode(finding, forKey: .finding)
        try values.encode(origin.rawValue, forKey: .origin)
        try values.encodeIfPresent(threshold, forKey: .threshold)
        try values.encodeIfPresent(goal?.name, forKey: .goal)
        try values.encodeIfPresent(goal?.value, forKey: .goalValue)
        try values.encode(minimumPerClass, forKey: .minimumPerClass)
        try values.encode(positives, forKey: .positives)
        try values.encode(negatives, forKey: .negatives)
        try values.encode(reason, forKey: .reason)
        try values.encode(by, forKey: .by)
        try values.encode(at, forKey: .at)
    }
}
