// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Torch
import WorkerStore

/// Lets the live version score the labelled held-out studies that an earlier version has flagged, from their kept
/// examples, so that its figures rest on all of the site's labels.
struct HeldOutScoring {
    private static let mostAtOnce = 32

    let store: WorkerStore
    let shelf: ModelShelf

    /// - Parameter mayContinue: called before each study; may block while triage has work; false stops.
    /// - Returns: how many studies were scored.
    func run(package: Hash, mayContinue: () -> Bool) throws -> Int {
        let (live, manifest, examples) = try store.read { transaction in
            guard let live = try transaction.liveVersion(package: package),
                let manifest = try transaction.package(package)?.decodedManifest()
            else { return (nil as VersionRow?, nil as Manifest?, [LabelledExample]()) }
            return (
                live, manifest,
                try transaction.unscoredExamples(live.version, findings: manifest.findings.map(\.name))
            )
        }
        guard let live, let manifest, !examples.isEmpty else { return 0 }
        let model = try shelf.load(live, manifest)
        var count = 0
        for start in stride(from: 0, to: examples.count, by: Self.mostAtOnce) {
            var scored: [(study: StudyKey, probabilities: [String: Double?])] = []
            for example in examples[start..<min(start + Self.mostAtOnce, examples.count)] {
                guard mayContinue() else { break }
                // A file that cannot be read is noted as such, and not tried at every look.
                let slices = try Self.scores(model, store.examples.appending(path: example.file))
                let values = slices.map { manifest.studyProbabilities($0) }
                let names = manifest.findings.enumerated().map { ($1.name, values?[$0]) }
                scored.append((example.study, Dictionary(names, uniquingKeysWith: { $1 })))
            }
            guard !scored.isEmpty else { break }
            try store.write { transaction in
                for study in scored {
                    try transaction.saveHeldOutScores(
                        study.study, version: live.version.id, study.probabilities, isFlag: false)
                }
            }
            count += scored.count
        }
        return count
    }

    /// Nil for an example that cannot be read or scored.
    private static func scores(_ model: TorchModel, _ file: URL) throws(TorchError) -> [Float]? {
        do throws(TorchError) {
            return try model.score(ExampleFile(file))
        } catch {
            switch error {
            case .process, .unavailable, .cancelled: throw error
            default: return nil
            }
        }
    }
}
