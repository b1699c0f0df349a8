// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Phantoms
import Testing
import Triage

@testable import Results

/// A phantom study and what a model might say about it.
struct Example {
    let study: PhantomStudy
    var originals: [Data]
    let images: [InstanceReference]
    let manifest: Manifest
    let version = ModelVersion(package: Hash(of: Data("package".utf8)), parameters: Hash(of: Data("0".utf8)))

    /// - Parameter code: the finding's code; nil: a package without codes.
    init(code: Finding.Code? = .init(scheme: "SCT", value: "1386000", meaning: "Intracranial hemorrhage")) throws {
        let study = try PhantomStudy.headCT(seed: 3, index: 0, look: .a, isPositive: true, slices: 6, matrix: 64)
        let originals = try (0..<study.instances).map { try study.instance($0) }
        self.study = study
        self.originals = originals
        images = try originals.map { file in
            let instance = try DicomInstance(file)
            return InstanceReference(
                sopClassUID: instance.sopClassUID?.text ?? "", sopInstanceUID: instance.sopInstanceUID?.text ?? "",
                seriesInstanceUID: instance.seriesInstanceUID?.text ?? "")
        }
        manifest = Manifest(
            name: "head-ct", title: "Kopf-CT für Blutungen – Test", intendedUse: "For tests only.",
            takes: Applicability(),
            preprocessing: Preprocessing(
                height: 64, width: 64, channels: [.window(center: 40, width: 80)], orientation: .radiological),
            findings: [
                Finding(
                    name: "intracranial-haemorrhage", title: "Intracranial haemorrhage", code: code, threshold: 0.5,
                    urgency: .critical),
                Finding(name: "fracture", title: "Skull fracture", code: nil, threshold: 0.4, urgency: .urgent),
            ], sliceRule: .maximum, training: TrainingDefaults(), guardRule: GuardRule())
    }

    var telling: Int { study.tellingInstance }

    /// - Parameter count: how many of the study's instances the model has looked at.
    func result(_ count: Int? = nil, predecessor: InstanceReference? = nil) -> StudyResult {
        let seen = Array(images.prefix(count ?? images.count))
        var reading = StudyReading(manifest: manifest)
        for (index, image) in seen.enumerated() {
            let probability: Float = index == telling ? 0.97 : 0.02
            reading.add(
                sopInstanceUID: image.sopInstanceUID, gatewayInstance: "gw-\(index)", probabilities: [probability, 0.1])
        }
        let flag = Flag(
            revision: 2, state: .final, study: study.studyInstanceUID, gatewayInstance: "gw-0",
            model: Flag.Model(manifest: manifest, version: version), findings: reading.results,
            instances: .init(received: seen.count, scored: seen.count, setAside: 0), modelVersions: 1,
            patient: .init(name: "", id: "", birthDate: ""), description: "", modality: "CT", accessionNumber: "",
            studyDate: "", arrivedAt: 1_700_000_000_000, lastInstanceAt: 1_700_000_000_000,
            decidedAt: 1_700_000_001_000)
        return StudyResult(
            flag: flag, manifest: manifest, images: seen, predecessor: predecessor, programVersion: "0.1.0")
    }

    func report(_ result: StudyResult) throws -> ResultObject { try result.report(original: originals[0]) }

    func keyImage(_ result: StudyResult, heatMap: HeatMap? = nil) throws -> ResultObject {
        try result.keyImage(
            original: originals[telling], finding: result.flag.findings[0], slice: try view(telling), heatMap: heatMap)
    }

    /// A slice as the worker prepares it for a key image.
    func view(_ index: Int) throws -> SliceView {
        let (instance, image, values, look) = try InstanceReader.read(originals[index]) {
            reader throws(ImagingError) in
            let image = try reader.instance.image.get()
            let look = SliceView.preprocessing(manifest.preprocessing, rows: image.rows, columns: image.columns)
            let frame = Frame()
            try reader.decode(0, into: frame)
            return (reader.instance, image, try Preprocessor(look).input(from: frame), look)
        }
        let view = SliceView(
            sopInstanceUID: instance.sopInstanceUID?.text ?? "", instanceNumber: instance.instanceNumber,
            frames: image.numberOfFrames, frame: 0, preprocessing: look, values: values)
        return try #require(view)
    }
}
