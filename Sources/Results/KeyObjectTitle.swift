// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// The title of a Key Object Selection: the codes of CID 7010 (PS3.16) that say what a selection is for.
public enum KeyObjectTitle: String, Sendable, CaseIterable {
    case ofInterest = "113000"
    case forReferringProvider = "113002"
    case forSurgery = "113003"
    case forTeaching = "113004"
    case forConference = "113005"
    case forTherapy = "113006"
    case forPatient = "113007"
    case forPeerReview = "113008"
    case forResearch = "113009"
    case forReportAttachment = "113020"

    var code: Finding.Code {
        let meaning =
            switch self {
            case .ofInterest: "Of Interest"
            case .forReferringProvider: "For Referring Provider"
            case .forSurgery: "For Surgery"
            case .forTeaching: "For Teaching"
            case .forConference: "For Conference"
            case .forTherapy: "For Therapy"
            case .forPatient: "For Patient"
            case .forPeerReview: "For Peer Review"
            case .forResearch: "For Research"
            case .forReportAttachment: "For Report Attachment"
            }
        return Finding.Code(scheme: "DCM", value: rawValue, meaning: meaning)
    }
}
