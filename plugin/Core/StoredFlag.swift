// SPDX-License-Identifier: GPL-3.0-or-later

/// A committed flag that the host has still to be told about.
struct StoredFlag: Sendable {
    var flag: String
    var revision: Int64
    /// StudyInstanceUID.
    var study: String
    var instance: String
    /// Empty while it is not resolved.
    var gatewayStudy: String
    var urgency: String
    var json: String
    /// preliminary or final.
    var state: String
}
