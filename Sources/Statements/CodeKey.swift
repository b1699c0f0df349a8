// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// A code without its meaning, with one name for each coding scheme, however DICOM or FHIR writes it.
public struct CodeKey: Sendable, Hashable {
    /// DICOM's designator (PS3.16 table 8-1) where the scheme has one, else as it was written.
    public let scheme: String
    public let value: String

    public init(scheme: String, value: String) {
        self.scheme = Self.designators[scheme.lowercased()] ?? scheme
        self.value = value
    }

    init(_ code: Finding.Code) {
        self.init(scheme: code.scheme, value: code.value)
    }

    /// FHIR's URIs (terminology.hl7.org) and the OIDs of PS3.16 section 8, in lower case.
    private static let designators = [
        "http://snomed.info/sct": "SCT", "urn:oid:2.16.840.1.113883.6.96": "SCT", "2.16.840.1.113883.6.96": "SCT",
        "http://radlex.org": "RADLEX", "http://www.radlex.org": "RADLEX", "http://radlex.org/rid": "RADLEX",
        "http://www.radlex.org/rid": "RADLEX", "urn:oid:2.16.840.1.113883.6.256": "RADLEX",
        "http://dicom.nema.org/resources/ontology/dcm": "DCM", "urn:oid:1.2.840.10008.2.16.4": "DCM",
        "http://loinc.org": "LN", "urn:oid:2.16.840.1.113883.6.1": "LN",
        "http://hl7.org/fhir/sid/icd-10": "I10", "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
        "http://terminology.hl7.org/codesystem/v3-observationinterpretation": "INTERPRETATION",
        "http://hl7.org/fhir/v2/0078": "INTERPRETATION",
        "http://hl7.org/fhir/v3/observationinterpretation":
            "INTERPRETATION",
        "http://terminology.hl7.org/codesystem/v2-0078": "INTERPRETATION",
        "http://terminology.hl7.org/codesystem/v2-0136": "YESNO", "http://hl7.org/fhir/v2/0136": "YESNO",
    ]
}
