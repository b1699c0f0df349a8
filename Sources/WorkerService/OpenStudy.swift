// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage
import WorkerStore

/// A study on the desk: what the database knows about it, in a form that takes the next instance in constant time.
struct OpenStudy {
    /// One version's reading of the study.
    struct Reading {
        var model: LiveModel
        var study: StudyReading
        var flag: FlagRow
        /// Positive findings that the gateway was told about.
        var told: Set<String>
        /// Whether the last flag announced a report about it.
        var hasReport = false
        var example: ExampleRow
    }

    var row: StudyRow
    var completeness: Completeness
    var counts: Flag.Counts
    /// By `LiveModel.id`.
    var readings: [Hash: Reading]

    var key: StudyKey { row.key }

    /// The flag as it stands now, with the next revision.
    func nextFlag(_ reading: Reading, state: Flag.State, decidedAt: Int64, figures: SiteFigures) -> Flag {
        let header = row.header
        let model = reading.model
        let findings = reading.study.results.map { result in
            var result = result
            result.operatingPoint = model.siteFindings.contains(result.finding) ? .site : .package
            result.validation = figures.validation(
                version: model.id, finding: result.finding, threshold: result.threshold)
            return result
        }
        return Flag(
            revision: reading.flag.revision + 1, state: state, study: key.studyInstanceUID,
            gatewayInstance: row.gatewayInstance,
            model: Flag.Model(manifest: model.manifest, version: model.version), findings: findings, instances: counts,
            modelVersions: readings.values.count { $0.study.slices > 0 },
            patient: Flag.Patient(name: header.patientName, id: header.patientID, birthDate: header.birthDate),
            description: header.description, modality: header.modality, accessionNumber: header.accessionNumber,
            studyDate: header.studyDate, arrivedAt: row.arrivedAt, lastInstanceAt: row.lastInstanceAt,
            decidedAt: decidedAt)
    }
}
