// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage

extension StudyResult {
    /// A Comprehensive SR with a measurement report by TID 1500 (PS3.16): one measurement group for each finding, with the
    /// images that carry the evidence.
    ///
    /// - Parameter original: a DICOM file of the study.
    public func report(original: Data) throws(ResultsError) -> ResultObject {
        let object = try DicomObject(.report, original: original)
        try object.codingScheme("99GANTRY", name: "Gantry model findings")
        try object.container(.measurementReport, template: "1500") { () throws(ResultsError) in
            try object.code(.language, .english, as: .hasConceptModifier)
            try addObserver(to: object)
            try object.code(.procedureReported, .procedure(modality: flag.modality), as: .hasConceptModifier)
            try addImageLibrary(to: object)
            try object.container(.imagingMeasurements) { () throws(ResultsError) in
                for finding in flag.findings { try addGroup(finding, to: object) }
            }
        }
        for image in images { try object.evidence(image) }
        if let predecessor { try object.predecessor(predecessor) }
        return try object.finish(self, modality: "SR", seriesNumber: 9801)
    }

    /// TID 1004.
    func addObserver(to object: borrowing DicomObject) throws(ResultsError) {
        try object.code(.observerType, .device, as: .hasObservationContext)
        try object.uid(.deviceUID, Self.uid(["device", flag.model.version.hex]), as: .hasObservationContext)
        try object.text(.deviceName, "Gantry", as: .hasObservationContext)
        try object.text(.deviceManufacturer, OwnResult.manufacturer, as: .hasObservationContext)
        try object.text(.deviceModel, flag.model.name, as: .hasObservationContext)
    }

    /// TID 1600: every instance that the model has looked at.
    private func addImageLibrary(to object: borrowing DicomObject) throws(ResultsError) {
        try object.container(.imageLibrary, template: "1600") { () throws(ResultsError) in
            try object.container(.imageLibraryGroup) { () throws(ResultsError) in
                if !flag.modality.isEmpty {
                    try object.code(.modality, .modality(flag.modality), as: .hasAcquisitionContext)
                }
                for image in images { try object.image(nil, image) }
            }
        }
    }

    /// TID 1501.
    private func addGroup(_ finding: FindingResult, to object: borrowing DicomObject) throws(ResultsError) {
        var known: [String: InstanceReference] = [:]
        for image in images { known[image.sopInstanceUID] = image }
        let evidence = finding.evidence.compactMap { slice in known[slice.sopInstance].map { ($0, slice.frame) } }
        func frame(_ image: InstanceReference, _ frame: Int) -> Int { image.frames > 1 ? frame + 1 : 0 }
        try object.container(.measurementGroup, template: "1501") { () throws(ResultsError) in
            try object.text(.trackingIdentifier, finding.finding, as: .hasObservationContext)
            try object.uid(
                .trackingUID, Self.uid(["tracking", flag.study, flag.model.version.hex, finding.finding]),
                as: .hasObservationContext)
            try object.code(.finding, .of(finding))
            // TID 4019
            try object.text(.algorithmName, flag.model.name, as: .hasConceptModifier)
            try object.text(.algorithmVersion, flag.model.version.hex, as: .hasConceptModifier)
            try object.text(.algorithmParameters, "package=sha256:\(flag.model.package.hex)", as: .hasConceptModifier)
            if let origin = finding.operatingPoint {
                try object.text(
                    .algorithmParameters, "operating-point=\(origin.rawValue)", as: .hasConceptModifier)
            }
            try object.percent(.certainty, finding.probability) { () throws(ResultsError) in
                for (image, index) in evidence {
                    try object.image(.sourceOfMeasurement, image, frame: frame(image, index), as: .inferredFrom)
                }
            }
            try object.percent(.threshold, finding.threshold)
            try object.code(.presence, finding.positive ? .present : .absent)
            try object.text(.comment, comment(finding))
            for (image, index) in evidence {
                try object.image(.source, image, frame: frame(image, index))
            }
        }
    }

    private func comment(_ finding: FindingResult) -> String {
        "\(Wording.notForDiagnosis). \(finding.title): probability \(Wording.probability(finding.probability)), "
            + "operating threshold \(Wording.probability(finding.threshold)), "
            + "\(finding.positive ? "flagged" : "not flagged"). Model: \(flag.model.title). \(flag.model.intendedUse)"
            + (finding.validation.map { " " + Wording.worth($0) } ?? "")
    }
}
