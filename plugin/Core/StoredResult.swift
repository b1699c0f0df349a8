// SPDX-License-Identifier: GPL-3.0-or-later

/// A committed object about a study that the host has still to store.
struct StoredResult: Sendable {
    /// SOPInstanceUID
    var object: String
    /// The DICOM file.
    var file: [UInt8]
}
