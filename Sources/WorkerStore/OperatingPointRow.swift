// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage
import Triage

/// A site's decision about the threshold of one finding, for one model version: probabilities of another version mean
/// something else.
public struct OperatingPointRow: Sendable, Equatable {
    public var version: ModelVersion
    public var finding: String
    public var origin: Origin
    /// nil: the package's own.
    public var threshold: Double?
    /// What was asked for.
    public var goal: CalibrationGoal?
    /// Labels of each class that the choice asked for.
    public var minimumPerClass: Int
    /// Held-out labels that it rests on.
    public var positives: Int
    public var negatives: Int
    /// Why the site's point was lost; else empty.
    public var reason: String
    /// The user who said so; empty for the worker itself.
    public var by: String
    /// Unix milliseconds UTC
    public var at: Int64

    public enum Origin: String, Sendable {
        /// `gantry model calibrate`
        case calibrated
        /// The same goal again, for a version that went live.
        case carried
        /// The goal could not be reached again for a version that went live.
        case lost
        /// Back to the package's own.
        case reset
    }

    public init(
        version: ModelVersion, finding: String, origin: Origin, threshold: Double? = nil,
        goal: CalibrationGoal? = nil, minimumPerClass: Int = 0, positives: Int = 0, negatives: Int = 0,
        reason: String = "", by: String = "", at: Int64
    ) {
        self.version = version
        self.finding = finding
        self.origin = origin
        self.threshold = threshold
        self.goal = goal
        self.minimumPerClass = minimumPerClass
        self.positives = positives
        self.negatives = negatives
        self.reason = reason
        self.by = by
        self.at = at
    }

    /// A threshold that was chosen.
    public init(
        _ calibration: Calibration, version: ModelVersion, finding: String, origin: Origin, minimumPerClass: Int,
        by: String, at: Int64
    ) {
        self.init(
            version: version, finding: finding, origin: origin, threshold: calibration.threshold,
            goal: calibration.goal, minimumPerClass: minimumPerClass, positives: calibration.curve.positives,
            negatives: calibration.curve.negatives, by: by, at: at)
    }

    /// How many labels chose the threshold; nil when it was given or is the package's.
    public var calibrationLabels: Int? {
        guard threshold != nil, let goal else { return nil }
        if case .threshold = goal { return nil }
        return positives + negatives
    }

    init(_ row: Row) throws {
        guard let package = Hash(hex: row["package"]), let parameters = Hash(hex: row["parameters"]) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "model_version holds a value that is no SHA-256")
        }
        let goal: String = row["goal"]
        self.init(
            version: ModelVersion(package: package, parameters: parameters), finding: row["finding"],
            origin: Origin(rawValue: row["origin"]) ?? .lost, threshold: row["threshold"],
            goal: CalibrationGoal(name: goal, value: row["goal_value"]), minimumPerClass: row["minimum_per_class"],
            positives: row["positives"], negatives: row["negatives"], reason: row["reason"], by: row["by"],
            at: row["at_ms"])
    }
}
