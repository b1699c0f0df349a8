// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import ModelPackage
import Statistics
import Tensors
import Testing
import Torch
import Triage
import WorkerStore

@testable import WorkerService

/// New versions on held-out examples, with a real model whose findings are easy to turn round.
@Suite struct VersionGuardTests {
    private let folder: TemporaryFolder
    private let store: WorkerStore
    private let shelf: ModelShelf
    private let models = LiveModels()
    private let versionGuard: VersionGuard
    private let package: ModelPackage
    private let live: ModelVersion

    init() throws {
        folder = try TemporaryFolder()
        var manifest = manifest()
        manifest.preprocessing.height = 32
        manifest.preprocessing.width = 32
        package = try PackageWriter.write(manifest: manifest, seed: 3, to: folder.url.appending(path: "package"))
        store = try WorkerStore(directory: folder.url.appending(path: "state"))
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        shelf = ModelShelf(store: store, models: models, log: log, timepiece: .system)
        try shelf.install(from: package.directory)
        versionGuard = VersionGuard(store: store, shelf: shelf, log: log, now: { 1 })
        live = try #require(package.version)
    }

    /// Held-out studies whose labels are what the live version says about them.
    private func addHeldOut(_ count: Int, isLabelled: Bool = true) throws {
        let model = try TorchModel(package: package)
        let shape = InputShape(package.manifest.preprocessing)
        var random = SystemRandomNumberGenerator()
        var scored: [(uid: String, probability: Float)] = []
        let first = try store.read { try $0.labelCounts(package: package.hash.hex, findings: ["bleed"]).heldOut }
        for number in first..<first + count {
            let uid = "1.\(number)"
            let values = (0..<shape.valueCount).map { _ in Float.random(in: 0...1, using: &random) }
            try ExampleWriter(store.examples.appending(path: "\(uid).safetensors"), shape: shape).append(
                values, slices: 1)
            try store.addStudy(uid, package: package.hash, isHeldOut: true)
            scored.append((uid, try model.score(values, count: 1)[0]))
        }
        scored.sort { $0.probability < $1.probability }
        guard isLabelled else { return }
        for (index, study) in scored.enumerated() { try store.addLabel(study.uid, isPresent: index >= count / 2) }
    }

    /// A version with all parameters times `factor`.
    private func addCandidate(_ factor: Float, round: Int) throws -> ModelVersion {
        var parameters = try Safetensors.read(package.parametersFile)
        let last = try #require(try TorchModel(package: package).declaredNames.last)
        let weight = last.replacingOccurrences(of: "bias", with: "weight")
        for name in [last, weight] {
            let tensor = try #require(parameters.tensors[name])
            parameters.tensors[name] = Tensor(shape: tensor.shape, values: tensor.values.map { $0 * factor })
        }
        let data = Safetensors.encode(parameters)
        let version = ModelVersion(package: package.hash, parameters: Hash(of: data))
        try data.write(to: shelf.parametersFile(version.parameters))
        try store.write { try $0.addCandidate(version, round: round, at: 1) }
        return version
    }

    /// A version that says no to everything: the attack on a federation that leaves the AUC as it is.
    private func addBlindCandidate(round: Int) throws -> ModelVersion {
        var parameters = try Safetensors.read(package.parametersFile)
        let last = try #require(try TorchModel(package: package).declaredNames.last)
        let bias = try #require(parameters.tensors[last])
        parameters.tensors[last] = Tensor(shape: bias.shape, values: bias.values.map { _ in -30 })
        let data = Safetensors.encode(parameters)
        let version = ModelVersion(package: package.hash, parameters: Hash(of: data))
        try data.write(to: shelf.parametersFile(version.parameters))
        try store.write { try $0.addCandidate(version, round: round, at: 1) }
        return version
    }

    private func judge() throws -> VersionRow? {
        try versionGuard.judge(package: package.hash, mayContinue: { true })
    }

    @Test func `A version that ranks the held-out studies the same way goes live`() throws {
        try addHeldOut(8)
        let next = try addCandidate(1.5, round: 1)
        #expect(try judge()?.state == .live)
        try shelf.refresh()
        #expect(models.all.map(\.version) == [next])
    }

    @Test func `A version that turns the findings round is refused and the old one stays`() throws {
        try addHeldOut(8)
        let next = try addCandidate(-1, round: 1)
        let row = try #require(try judge())
        #expect(row.state == .refused && row.version == next)
        #expect((row.candidateAUC ?? 1) < (row.liveAUC ?? 0))
        try shelf.refresh()
        #expect(models.all.map(\.version) == [live])
        #expect(try judge() == nil, "it is decided once")
        try store.verifyAudit()
    }

    @Test(arguments: [true, false]) func `A version with a bias of -30 is refused, with labels and without`(
        isLabelled: Bool
    ) throws {
        try addHeldOut(16, isLabelled: isLabelled)
        let next = try addBlindCandidate(round: 1)
        let row = try #require(try judge())
        #expect(row.state == .refused)
        let judgement = try #require(try store.read { try $0.judgement(of: next.id) })
        #expect(judgement.reason == "constant")
        #expect(judgement.figures.recentStudies == 16)
        try shelf.refresh()
        #expect(models.all.map(\.version) == [live])
    }

    @Test func `A site's floor makes a lenient rule strict`() throws {
        try addHeldOut(8)
        _ = try addCandidate(-1, round: 1)
        var strict = versionGuard
        strict.floor = GuardFloor(minimumLabelsPerClass: 5)
        #expect(try strict.judge(package: package.hash, mayContinue: { true })?.state == .waiting)
    }

    @Test func `The site's operating point is chosen anew for the version that goes live, at once`() throws {
        try addHeldOut(8)
        try store.write {
            try $0.add(
                OperatingPointRow(
                    version: live, finding: "bleed", origin: .calibrated, threshold: 0.123, goal: .sensitivity(0.75),
                    minimumPerClass: 4, positives: 4, negatives: 4, by: "admin", at: 1))
        }
        try shelf.refresh()
        #expect(models.all.map { $0.manifest.findings[0].threshold } == [0.123])
        let next = try addCandidate(1.5, round: 1)
        #expect(try judge()?.state == .live)
        let (points, studies) = try store.read {
            (try $0.operatingPoints(next), try $0.heldOutStudies(version: next.id)["bleed"] ?? [])
        }
        let point = try #require(points["bleed"])
        #expect(point.origin == .carried && studies.count == 8)
        #expect(point.threshold == ROCCurve(studies).threshold(for: .sensitivity(0.75)))
        try shelf.refresh()
        #expect(models.all.map { $0.manifest.findings[0].threshold } == [point.threshold])
        #expect(models.all.map(\.siteFindings) == [["bleed"]])
        try store.verifyAudit()
    }

    @Test func `An operating point that takes more labels than there are is lost to the package's threshold`() throws {
        try addHeldOut(8)
        try store.write {
            try $0.add(
                OperatingPointRow(
                    version: live, finding: "bleed", origin: .calibrated, threshold: 0.123, goal: .sensitivity(0.75),
                    minimumPerClass: 20, positives: 20, negatives: 20, by: "admin", at: 1))
        }
        let next = try addCandidate(1.5, round: 1)
        #expect(try judge()?.state == .live)
        #expect(try store.read { try $0.operatingPoints(next)["bleed"]?.origin } == .lost)
        try shelf.refresh()
        #expect(models.all.map { $0.manifest.findings[0].threshold } == [0.5])
        #expect(models.all.map(\.siteFindings) == [[]])
    }

    @Test func `The live version scores labelled held-out studies that it has not flagged, once`() throws {
        try addHeldOut(8)
        let broken = store.examples.appending(path: "1.3.safetensors")
        try Data("broken".utf8).write(to: broken)
        let scoring = HeldOutScoring(store: store, shelf: shelf)
        #expect(try scoring.run(package: package.hash, mayContinue: { false }) == 0)
        #expect(try scoring.run(package: package.hash, mayContinue: { true }) == 8)
        #expect(try scoring.run(package: package.hash, mayContinue: { true }) == 0)
        let studies = try store.read { try $0.heldOutStudies(version: live.id)["bleed"] ?? [] }
        #expect(studies.count == 7, "the file that cannot be read says nothing")
        #expect(AreaUnderCurve(studies)?.value == 1)
    }

    @Test func `A version with too few labels waits and is judged when there are more`() throws {
        try addHeldOut(2)
        _ = try addCandidate(1.5, round: 1)
        #expect(try judge()?.state == .waiting)
        #expect(try judge() == nil, "not again with the same labels")
        try addHeldOut(8)
        #expect(try judge()?.state != .waiting)
    }

    @Test func `A version with parameters of another model is refused`() throws {
        try addHeldOut(8)
        let data = Safetensors.encode(TensorMap(["w": Tensor(shape: [1], values: [1])]))
        let version = ModelVersion(package: package.hash, parameters: Hash(of: data))
        try data.write(to: shelf.parametersFile(version.parameters))
        try store.write { try $0.addCandidate(version, round: 1, at: 1) }
        #expect(try judge()?.state == .refused)
    }

    @Test func `A judgement that is interrupted decides nothing`() throws {
        try addHeldOut(8)
        let next = try addCandidate(1.5, round: 1)
        #expect(try versionGuard.judge(package: package.hash, mayContinue: { false }) == nil)
        #expect(try store.read { try $0.version(next.id)?.state } == .candidate)
    }
}
