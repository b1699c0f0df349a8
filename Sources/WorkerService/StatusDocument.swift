// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Triage
import WorkerStore

/// The payload of `model-status`. Keys are snake_case in the JSON.
struct StatusDocument: Encodable {
    struct Live: Encodable {
        var name: String
        var title: String
        var package: String
        var version: String
        var round: Int
        var sinceMs: Int64
        var labels: Labels
        var findings: [Grounds]
        var lastDecision: Decision?
        /// Nil before the first one.
        var scoring: Scoring?

        enum CodingKeys: String, CodingKey {
            case name, title, package, version, round, sinceMs, labels, findings, scoring
            case lastDecision = "guard"
        }
    }

    /// From when on a finding is flagged, and what such a flag is worth at this site.
    struct Grounds: Encodable {
        var finding: String
        var title: String
        var threshold: Double
        var operatingPoint: ThresholdOrigin
        var validation: SiteValidation?
    }

    /// Forward passes since the version was loaded; the median and the mean are of the last 256.
    struct Scoring: Encodable {
        var passes: Int
        var slices: Int
        var medianPassMs: Double
        var meanPassSlices: Double
    }

    /// Labelled studies with a kept example.
    struct Labels: Encodable {
        var training: Int
        var new: Int
        var heldOut: Int
    }

    /// The last new version that was tried on the held-out labels.
    struct Decision: Encodable {
        var version: String
        var decision: String
        var round: Int
        var heldOutLabels: Int
        var candidateAuc: Double?
        var liveAuc: Double?
        var atMs: Int64
    }

    /// Final flags as DICOM objects.
    struct Results: Encodable {
        /// Flags whose objects have still to be made.
        var due: Int
        /// Objects that are not acknowledged by their gateway.
        var unsent: Int
        /// Flags that could not be told, and objects that were refused, by the name of the reason.
        var failed: [String: Int]
    }

    struct Queue: Encodable { var instances: Int }

    /// Reports and key object selections that say something about a study; one that speaks of two counts twice.
    struct Documents: Encodable {
        var taken = 0
        /// For their study.
        var waiting = 0
        /// Their study did not come.
        var dropped = 0
        /// Studies of which nothing is learned.
        var rejectedStudies = 0
    }

    /// Databases that were damaged and set aside.
    struct Databases: Encodable {
        struct Last: Encodable {
            var path: String
            var reason: String
            var atMs: Int64
        }

        var setAside: Int
        var lastSetAside: Last?
    }

    /// The layers that confine a decoder or a model, and those that this system lacks.
    struct Sandbox: Encodable {
        var inForce: [String]
        var missing: [String]
    }

    /// A live version whose model runs no more.
    struct ModelSetAside: Encodable {
        var name: String
        var package: String
        var version: String
        var reason: String
    }

    /// At the endpoint for gateways.
    struct Connections: Encodable { var refused: Int }

    var live: [Live]
    /// Also what waits for approval.
    var packages: [Package]
    var training: StatusBoard.Training
    var federation: StatusBoard.Federation
    var database: Databases
    var connections: Connections
    /// Instances by the name of the reason.
    var setAside: [String: Int]
    var documents: Documents
    /// Decoder processes that were replaced since the worker started, by the name of the reason.
    var decoderFailures: [String: Int]
    /// Model processes that died, hung or tried something forbidden since the worker started, by the name of the reason.
    var modelFailures: [String: Int]
    var modelsSetAside: [ModelSetAside]
    /// Nil before the first decoder has started.
    var sandbox: Sandbox?
    /// The same for models.
    var modelSandbox: Sandbox?
    var queue: Queue
    /// Nil while the database cannot be read.
    var results: Results?

    func encoded() -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys]
        return (try? encoder.encode(self)) ?? Data("{}".utf8)
    }
}

extension StatusDocument.Live {
    init(_ model: LiveModel, store: WorkerStore, figures: SiteFigures, scoring: ScoringTimes?) {
        let package = model.version.package
        let findings = model.manifest.findings.map(\.name)
        let counts = (try? store.read { try $0.labelCounts(package: package.hex, findings: findings) }) ?? LabelCounts()
        let judged = (try? store.read { try $0.lastJudgedVersion(package: package) }) ?? nil
        self.init(
            name: model.manifest.name, title: model.manifest.title, package: package.hex, version: model.id.hex,
            round: model.round, sinceMs: model.since,
            labels: .init(training: counts.training, new: counts.new, heldOut: counts.heldOut),
            findings: model.manifest.findings.map { finding in
                .init(
                    finding: finding.name, title: finding.title, threshold: finding.threshold,
                    operatingPoint: model.siteFindings.contains(finding.name) ? .site : .package,
                    validation: figures.validation(
                        version: model.id, finding: finding.name, threshold: finding.threshold))
            },
            lastDecision: judged.map {
                .init(
                    version: $0.version.id.hex, decision: $0.state.rawValue, round: $0.round,
                    heldOutLabels: $0.heldOutLabels, candidateAuc: $0.candidateAUC, liveAuc: $0.liveAUC,
                    atMs: $0.decidedAt)
            },
            scoring: scoring.flatMap { times in
                guard let median = times.medianMilliseconds, let mean = times.meanSlices else { return nil }
                return .init(
                    passes: times.passes, slices: times.slices, medianPassMs: median, meanPassSlices: mean)
            })
    }
}
