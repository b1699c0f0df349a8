// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Synchronization
import Triage
import WorkerStore

@testable import WorkerService

/// A directory that goes away with the value.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(
            path: "gantry-\(UUID().uuidString)", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}

/// Clocks that stand until they are moved.
final class VirtualClock: Sendable {
    private let milliseconds = Mutex<Int64>(1_000_000)

    var now: Int64 { milliseconds.withLock { $0 } }

    func advance(_ by: Int64) { milliseconds.withLock { $0 += by } }

    var timepiece: Timepiece { Timepiece(unix: { self.now }, monotonic: { self.now }) }
}

/// A manifest of a small model with one finding `bleed`.
func manifest(
    name: String = "test-model", rule: SliceRule = .maximum, modalities: [String] = ["CT"],
    guardRule: GuardRule = GuardRule()
) -> Manifest {
    Manifest(
        name: name, title: "Test model", intendedUse: "For tests.",
        takes: Applicability(modalities: modalities),
        preprocessing: Preprocessing(height: 8, width: 8, channels: [.percentiles]),
        findings: [Finding(name: "bleed", title: "Bleed", code: nil, threshold: 0.5, urgency: .critical)],
        sliceRule: rule, training: TrainingDefaults(), guardRule: guardRule)
}

/// A version whose hashes are made from a text.
func version(_ text: String, package: String = "package") -> ModelVersion {
    ModelVersion(package: Hash(of: Data(package.utf8)), parameters: Hash(of: Data(text.utf8)))
}

extension StudyKey: ExpressibleByStringLiteral {
    /// A study of the gateway `g`, which most tests have alone.
    public init(stringLiteral studyInstanceUID: String) { self.init(gateway: "g", studyInstanceUID: studyInstanceUID) }
}

extension WorkerStore {
    /// Adds a package with one live version.
    func addModel(_ manifest: Manifest, _ version: ModelVersion) throws {
        try write { transaction in
            try transaction.install(
                PackageRow(package: version.package, manifest: manifest, installedAt: 1))
            try transaction.save(VersionRow(version: version, round: 0, state: .live, decidedAt: 1))
        }
    }

    /// Adds a study with a kept example of one slice.
    func addStudy(
        _ uid: String, package: Hash, isHeldOut: Bool = false, accessionNumber: String = "", at: Int64 = 1,
        bytes: Int = 100
    ) throws {
        try write { transaction in
            try transaction.save(
                StudyRow(
                    header: StudyHeader(studyInstanceUID: uid, accessionNumber: accessionNumber), gateway: "g",
                    gatewayInstance: "i", isOpen: false, isHeldOut: isHeldOut, expectedInstances: nil, arrivedAt: at,
                    lastInstanceAt: at))
            try transaction.save(
                ExampleRow(
                    study: StudyKey(stringLiteral: uid), package: package.hex, file: "\(uid).safetensors", slices: 1,
                    bytes: bytes,
                    state: .ready, createdAt: at))
        }
    }

    func addLabel(_ uid: String, isPresent: Bool, at: Int64 = 1) throws {
        try write {
            try $0.add(
                Label(
                    study: StudyKey(stringLiteral: uid), finding: "bleed", isPresent: isPresent, source: .review,
                    reader: "r", role: "radiologist", at: at))
        }
    }
}
