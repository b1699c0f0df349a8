// SPDX-License-Identifier: GPL-3.0-or-later
import Federation

/// A site's measurement of a version.
public struct SiteReport: Sendable, Equatable {
    public let site: String
    public let report: VersionReport
    public let reportedAtMilliseconds: Int64
}
