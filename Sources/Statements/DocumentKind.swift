// SPDX-License-Identifier: GPL-3.0-or-later

/// The kinds of DICOM documents in which people say something about a study. Dose reports, CAD results and procedure logs
/// are none of them.
public enum DocumentKind: String, Codable, Sendable {
    case keyObjects = "key-objects"
    case report

    /// By SOPClassUID (PS3.4 B.5).
    public init?(sopClassUID: String) {
        switch sopClassUID {
        case "1.2.840.10008.5.1.4.1.1.88.59": self = .keyObjects
        // Basic Text, Enhanced, Comprehensive, Comprehensive 3D and Extensible SR.
        case "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.33",
            "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.35":
            self = .report
        default: return nil
        }
    }
}
