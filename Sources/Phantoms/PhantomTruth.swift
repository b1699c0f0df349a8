// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// What is in a phantom study, known because it was put there.
public struct PhantomTruth: Sendable, Equatable {
    public let studyInstanceUID: String
    public let patientID: String
    /// The key that model packages use, for example `intracranial-haemorrhage`.
    public let finding: String
    public let isPresent: Bool
    /// Of the bleed, or of the filled lung; 0 when absent.
    public let volumeMillilitres: Double
    /// Of the bleed, in HU as this site's scanner shows it; nil for a chest and when absent.
    public let meanHU: Double?
    public let look: PhantomLook
    public let instances: Int

    public static let header = "StudyInstanceUID,PatientID,finding,present,volume_ml,mean_hu,site_look,slices"

    /// One line of `truth.csv`, in the order of `header`.
    public var line: String {
        let volume = String(format: "%.1f", volumeMillilitres)
        let density = meanHU.map { String(format: "%.1f", $0) } ?? ""
        return [
            studyInstanceUID, patientID, finding, isPresent ? "1" : "0", volume, density, look.rawValue,
            String(instances),
        ].joined(separator: ",")
    }
}
