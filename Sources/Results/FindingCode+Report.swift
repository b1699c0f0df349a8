// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage

/// The codes of a report (PS3.16, SNOMED CT, UCUM).
extension Finding.Code {
    private static func dcm(_ value: String, _ meaning: String) -> Self {
        Self(scheme: "DCM", value: value, meaning: meaning)
    }

    private static func sct(_ value: String, _ meaning: String) -> Self {
        Self(scheme: "SCT", value: value, meaning: meaning)
    }

    static let measurementReport = dcm("126000", "Imaging Measurement Report")
    static let language = dcm("121049", "Language of Content Item and Descendants")
    static let english = Self(scheme: "RFC5646", value: "en", meaning: "English")
    static let observerType = dcm("121005", "Observer Type")
    static let device = dcm("121007", "Device")
    static let deviceUID = dcm("121012", "Device Observer UID")
    static let deviceName = dcm("121013", "Device Observer Name")
    static let deviceManufacturer = dcm("121014", "Device Observer Manufacturer")
    static let deviceModel = dcm("121015", "Device Observer Model Name")
    static let procedureReported = dcm("121058", "Procedure reported")
    static let imageLibrary = dcm("111028", "Image Library")
    static let imageLibraryGroup = dcm("126200", "Image Library Group")
    static let modality = dcm("121139", "Modality")
    static let imagingMeasurements = dcm("126010", "Imaging Measurements")
    static let measurementGroup = dcm("125007", "Measurement Group")
    static let trackingIdentifier = dcm("112039", "Tracking Identifier")
    static let trackingUID = dcm("112040", "Tracking Unique Identifier")
    static let finding = dcm("121071", "Finding")
    static let algorithmName = dcm("111001", "Algorithm Name")
    static let algorithmParameters = dcm("111002", "Algorithm Parameters")
    static let algorithmVersion = dcm("111003", "Algorithm Version")
    static let certainty = dcm("111012", "Certainty of Finding")
    static let threshold = Self(scheme: "99GANTRY", value: "threshold", meaning: "Operating threshold")
    static let sourceOfMeasurement = dcm("121112", "Source of Measurement")
    static let source = sct("260753009", "Source")
    static let presence = sct("705057003", "Presence")
    static let present = sct("52101004", "Present")
    static let absent = sct("2667000", "Absent")
    static let keyObjectDescription = dcm("113012", "Key Object Description")
    static let abnormality = sct("49755003", "Morphologically abnormal structure")
    static let comment = dcm("121106", "Comment")
    static let percent = Self(scheme: "UCUM", value: "%", meaning: "Percent")

    /// What was examined, where the modality says it (CID 100).
    static func procedure(modality: String) -> Self {
        switch modality {
        case "CT": Self(scheme: "LN", value: "25045-6", meaning: "CT Unspecified body region")
        case "MR": Self(scheme: "LN", value: "25056-3", meaning: "MRI Unspecified body region")
        default: sct("363679005", "Imaging")
        }
    }

    /// CID 29; what it does not have is its own meaning.
    static func modality(_ modality: String) -> Self {
        let meaning =
            switch modality {
            case "CT": "Computed Tomography"
            case "MR": "Magnetic Resonance"
            case "CR": "Computed Radiography"
            case "DX": "Digital Radiography"
            case "MG": "Mammography"
            case "US": "Ultrasound"
            case "PT": "Positron emission tomography"
            case "NM": "Nuclear Medicine"
            case "XA": "X-Ray Angiography"
            default: modality
            }
        return dcm(modality, meaning)
    }

    /// The finding's own code, or one of Gantry's for a package that has none. A code value has up to 16 characters.
    static func of(_ finding: FindingResult) -> Self {
        if let code = finding.code { return code }
        let name = finding.finding
        let value = name.utf8.count <= 16 ? name : String(Hash(of: Data(name.utf8)).hex.prefix(16))
        return Self(scheme: "99GANTRY", value: value, meaning: finding.title)
    }
}
