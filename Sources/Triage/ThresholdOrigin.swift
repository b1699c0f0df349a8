// SPDX-License-Identifier: GPL-3.0-or-later

/// Who chose a finding's operating threshold.
public enum ThresholdOrigin: String, Codable, Sendable {
    /// The model's author, in the package.
    case package
    /// This site, on its own labels (`gantry model calibrate`).
    case site
}
