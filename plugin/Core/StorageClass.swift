// SPDX-License-Identifier: GPL-3.0-or-later

/// The keywords of storage SOP classes (PS3.6 table A-1), so that a rule need not name UIDs.
enum StorageClass {
    private static let keywords: [String: String] = [
        "1.2.840.10008.5.1.4.1.1.1": "ComputedRadiographyImageStorage",
        "1.2.840.10008.5.1.4.1.1.1.1": "DigitalXRayImageStorageForPresentation",
        "1.2.840.10008.5.1.4.1.1.1.1.1": "DigitalXRayImageStorageForProcessing",
        "1.2.840.10008.5.1.4.1.1.1.2": "DigitalMammographyXRayImageStorageForPresentation",
        "1.2.840.10008.5.1.4.1.1.1.2.1": "DigitalMammographyXRayImageStorageForProcessing",
        "1.2.840.10008.5.1.4.1.1.2": "CTImageStorage",
        "1.2.840.10008.5.1.4.1.1.2.1": "EnhancedCTImageStorage",
        "1.2.840.10008.5.1.4.1.1.2.2": "LegacyConvertedEnhancedCTImageStorage",
        "1.2.840.10008.5.1.4.1.1.3.1": "UltrasoundMultiFrameImageStorage",
        "1.2.840.10008.5.1.4.1.1.4": "MRImageStorage",
        "1.2.840.10008.5.1.4.1.1.4.1": "EnhancedMRImageStorage",
        "1.2.840.10008.5.1.4.1.1.4.4": "LegacyConvertedEnhancedMRImageStorage",
        "1.2.840.10008.5.1.4.1.1.6.1": "UltrasoundImageStorage",
        "1.2.840.10008.5.1.4.1.1.7": "SecondaryCaptureImageStorage",
        "1.2.840.10008.5.1.4.1.1.7.1": "MultiFrameSingleBitSecondaryCaptureImageStorage",
        "1.2.840.10008.5.1.4.1.1.7.2": "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
        "1.2.840.10008.5.1.4.1.1.7.3": "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
        "1.2.840.10008.5.1.4.1.1.7.4": "MultiFrameTrueColorSecondaryCaptureImageStorage",
        "1.2.840.10008.5.1.4.1.1.11.1": "GrayscaleSoftcopyPresentationStateStorage",
        "1.2.840.10008.5.1.4.1.1.12.1": "XRayAngiographicImageStorage",
        "1.2.840.10008.5.1.4.1.1.12.2": "XRayRadiofluoroscopicImageStorage",
        "1.2.840.10008.5.1.4.1.1.13.1.3": "BreastTomosynthesisImageStorage",
        "1.2.840.10008.5.1.4.1.1.20": "NuclearMedicineImageStorage",
        "1.2.840.10008.5.1.4.1.1.66.4": "SegmentationStorage",
        "1.2.840.10008.5.1.4.1.1.77.1.4": "VLPhotographicImageStorage",
        "1.2.840.10008.5.1.4.1.1.88.11": "BasicTextSRStorage",
        "1.2.840.10008.5.1.4.1.1.88.22": "EnhancedSRStorage",
        "1.2.840.10008.5.1.4.1.1.88.33": "ComprehensiveSRStorage",
        "1.2.840.10008.5.1.4.1.1.88.34": "Comprehensive3DSRStorage",
        "1.2.840.10008.5.1.4.1.1.88.59": "KeyObjectSelectionDocumentStorage",
        "1.2.840.10008.5.1.4.1.1.88.67": "XRayRadiationDoseSRStorage",
        "1.2.840.10008.5.1.4.1.1.104.1": "EncapsulatedPDFStorage",
        "1.2.840.10008.5.1.4.1.1.128": "PositronEmissionTomographyImageStorage",
        "1.2.840.10008.5.1.4.1.1.481.1": "RTImageStorage",
        "1.2.840.10008.5.1.4.1.1.481.2": "RTDoseStorage",
        "1.2.840.10008.5.1.4.1.1.481.3": "RTStructureSetStorage",
        "1.2.840.10008.5.1.4.1.1.481.5": "RTPlanStorage",
    ]

    /// What a rule may call a SOP class.
    static func names(of uid: String) -> [String] { [uid] + (keywords[uid].map { [$0] } ?? []) }

    /// Whether a pattern can match at all: a UID, or a keyword, with or without stars.
    static func isKnown(_ name: String) -> Bool {
        let isUID = name.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x2A }
        let pattern = Pattern(name)
        return isUID || keywords.values.contains { pattern.matches($0) }
    }
}
