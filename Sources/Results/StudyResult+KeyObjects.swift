// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage

extension StudyResult {
    /// A Key Object Selection by TID 2010 (PS3.16): the images that carry the evidence, and the key image.
    ///
    /// - Parameters:
    ///   - original: a DICOM file of the study.
    ///   - keyImage: nil when there is none.
    /// - Throws: `ResultsError`, also when no image carries evidence: a selection selects something.
    public func keyObjects(
        original: Data, title: KeyObjectTitle, keyImage: InstanceReference?
    ) throws(ResultsError) -> ResultObject {
        let telling = tellingImages
        guard !telling.isEmpty else { throw ResultsError("no image carries evidence") }
        let objects = telling + (keyImage.map { [$0] } ?? [])
        let object = try DicomObject(.keyObjects, original: original)
        try object.container(title.code, template: "2010") { () throws(ResultsError) in
            try object.code(.language, .english, as: .hasConceptModifier)
            try addObserver(to: object)
            try object.text(.keyObjectDescription, keyObjectDescription)
            for image in objects { try object.image(nil, image) }
        }
        for image in objects { try object.evidence(image) }
        return try object.finish(self, modality: "KO", seriesNumber: 9803)
    }

    /// Those of the positive findings; of the leading one when none is positive. The strongest first.
    private var tellingImages: [InstanceReference] {
        let positive = flag.findings.filter(\.positive)
        let findings = positive.isEmpty ? StudyResult.leadingFinding(of: flag).map { [$0] } ?? [] : positive
        var known: [String: InstanceReference] = [:]
        for image in images { known[image.sopInstanceUID] = image }
        var chosen: [InstanceReference] = []
        for slice in findings.flatMap(\.evidence).sorted(by: { $0.probability > $1.probability }) {
            // One object for an image, however many of its frames and findings it tells about.
            if let image = known.removeValue(forKey: slice.sopInstance) { chosen.append(image) }
        }
        return chosen
    }

    private var keyObjectDescription: String {
        let found = flag.findings.map {
            "\($0.title): probability \(Wording.probability($0.probability)), \($0.positive ? "flagged" : "not flagged")"
        }
        return "\(Wording.notForDiagnosis). \(found.joined(separator: "; ")). Model: \(flag.model.title), version "
            + "\(flag.model.version.hex.prefix(8))."
    }
}
