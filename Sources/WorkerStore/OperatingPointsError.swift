// SPDX-License-Identifier: GPL-3.0-or-later

/// The copy of the site's thresholds cannot be read.
public struct OperatingPointsError: Error, Equatable, CustomStringConvertible {
    /// Where the copy is now.
    public var path: String
    public var reason: String

    public var description: String {
        """
        the copy of this site's thresholds cannot be read (\(reason)); it is now \(path). Thresholds that the database \
        lacks are the packages' own: look with gantry model status, choose anew with gantry model calibrate
        """
    }
}
