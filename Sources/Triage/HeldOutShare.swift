// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// Which patients are kept for judging new versions and are never trained on.
///
/// Decided by a hash of the patient id alone: the same patient is always on the same side, whatever the order of studies
/// and labels, and also after the worker's state was lost and rebuilt. A salt drawn by the site would break that: patients
/// that the model was trained on would judge it. Shares by class are not possible this way, because the label comes after
/// the decision.
public struct HeldOutShare: Sendable, Equatable {
    /// 0…1
    public var share: Double

    public init(share: Double = 0.2) {
        self.share = share
    }

    /// - Parameter studyInstanceUID: stands in for a patient id that is missing.
    public func contains(patientID: String, studyInstanceUID: String) -> Bool {
        let patient = patientID.trimmingCharacters(in: .whitespaces)
        let key = patient.isEmpty ? "study\n\(studyInstanceUID)" : "patient\n\(patient)"
        let digits = Hash(of: Data("held-out\n\(key)".utf8)).hex.prefix(13)
        // 13 hexadecimal digits are 52 bits, exact in a Double.
        let fraction = Double(UInt64(digits, radix: 16) ?? 0) / Double(UInt64(1) << 52)
        return fraction < share
    }
}
