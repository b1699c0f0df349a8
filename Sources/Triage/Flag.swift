// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// What one model version says about one study, as the gateway gets and shows it. Times are Unix milliseconds UTC.
public struct Flag: Codable, Sendable, Equatable {
    /// `Flag.id(studyInstanceUID:version:)`
    public var flag: String
    /// Counts up with every change; the gateway keeps the highest.
    public var revision: Int
    public var state: State
    public var study: String
    /// The gateway's id of one instance of the study.
    public var gatewayInstance: String
    public var model: Model
    /// The highest urgency of the positive findings.
    public var urgency: Urgency
    public var findings: [FindingResult]
    public var instances: Counts
    /// Why the study counts as complete, in a final flag.
    public var completeness: Completeness.Reason?
    /// A report is made of a final flag: until the gateway has it, the study is not done with.
    public var hasReport: Bool?
    /// How many model versions read the study: so many flags it has when it is finished.
    public var modelVersions: Int
    public var patient: Patient
    public var description: String
    public var modality: String
    public var accessionNumber: String
    public var studyDate: String
    public var arrivedAt: Int64
    public var lastInstanceAt: Int64
    public var decidedAt: Int64

    /// The same study and model version always give the same flag.
    public static func id(studyInstanceUID: String, version: Hash) -> String {
        Hash(of: Data("\(studyInstanceUID)\n\(version.hex)".utf8)).hex
    }

    public enum State: String, Codable, Sendable { case preliminary, final }

    public struct Model: Codable, Sendable, Equatable {
        public var name: String
        public var title: String
        public var package: Hash
        public var version: Hash
        public var intendedUse: String

        enum CodingKeys: String, CodingKey {
            case name, title, package, version
            case intendedUse = "intended_use"
        }

        public init(manifest: Manifest, version: ModelVersion) {
            name = manifest.name
            title = manifest.title
            package = version.package
            self.version = version.id
            intendedUse = manifest.intendedUse
        }
    }

    public struct Counts: Codable, Sendable, Equatable {
        /// Instances of the study that reached the worker.
        public var received: Int
        public var scored: Int
        public var setAside: Int

        enum CodingKeys: String, CodingKey {
            case received, scored
            case setAside = "set_aside"
        }

        public init(received: Int = 0, scored: Int = 0, setAside: Int = 0) {
            self.received = received
            self.scored = scored
            self.setAside = setAside
        }
    }

    public struct Patient: Codable, Sendable, Equatable {
        public var name: String
        public var id: String
        public var birthDate: String

        enum CodingKeys: String, CodingKey {
            case name, id
            case birthDate = "birth_date"
        }

        public init(name: String, id: String, birthDate: String) {
            self.name = name
            self.id = id
            self.birthDate = birthDate
        }
    }

    enum CodingKeys: String, CodingKey {
        case flag, revision, state, completeness, study, model, urgency, findings, instances, patient, description,
            modality
        case modelVersions = "model_versions"
        case gatewayInstance = "gateway_instance"
        case accessionNumber = "accession_number"
        case studyDate = "study_date"
        case arrivedAt = "arrived_at_ms"
        case lastInstanceAt = "last_instance_at_ms"
        case decidedAt = "decided_at_ms"
        case hasReport = "has_report"
    }

    public init(
        revision: Int, state: State, study: String, gatewayInstance: String, model: Model, findings: [FindingResult],
        instances: Counts, modelVersions: Int, patient: Patient, description: String, modality: String,
        accessionNumber: String, studyDate: String, arrivedAt: Int64, lastInstanceAt: Int64, decidedAt: Int64
    ) {
        flag = Flag.id(studyInstanceUID: study, version: model.version)
        self.revision = revision
        self.state = state
        self.study = study
        self.gatewayInstance = gatewayInstance
        self.model = model
        urgency = findings.filter(\.positive).map(\.urgency).max() ?? .none
        self.findings = findings
        self.instances = instances
        self.modelVersions = modelVersions
        self.patient = patient
        self.description = description
        self.modality = modality
        self.accessionNumber = accessionNumber
        self.studyDate = studyDate
        self.arrivedAt = arrivedAt
        self.lastInstanceAt = lastInstanceAt
        self.decidedAt = decidedAt
    }
}
