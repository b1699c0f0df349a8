// SPDX-License-Identifier: GPL-3.0-or-later

/// Why an instance was not sent to a modality.
enum SendFailure: Error {
    /// Orthanc does not have it any more.
    case gone
    case unknownTarget
    case notNow(String)

    /// One sentence without patient data.
    var reason: String {
        switch self {
        case .gone: "Orthanc no longer has the instance"
        case .unknownTarget: "Orthanc has no modality of this name (DicomModalities)"
        case .notNow(let reason): reason
        }
    }
}
