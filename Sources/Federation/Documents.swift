// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

// The JSON payloads between site and hub. Together with `ToHub` and `ToSite` this is the closed list of what leaves a
// hospital: counts, hashes, metrics and parameters. Nothing here can hold free text from a study.

/// What a site tells about itself with each hello.
public struct SiteState: Codable, Sendable, Equatable {
    /// Program version, for example `0.1.0`.
    public var version: String
    /// For each package that the site holds: what it has to train with.
    public var packages: [PackageState]
    /// Of the site's audit log; nil from a site of an older release.
    public var audit: AuditStatement?

    public struct PackageState: Codable, Sendable, Equatable {
        public var package: Hash
        /// `ModelVersion.id` of the version that flags studies now.
        public var live: Hash
        /// Labelled studies that may be trained on (held-out ones are not counted).
        public var trainingLabels: Int
        /// Of these, the ones that came after the last contribution.
        public var newLabels: Int
        public var heldOutLabels: Int
        /// Studies that were ever labelled for training, also those whose example had to make room: what tells new labels
        /// from old ones when the disk budget is full. Nil from a site that does not count them.
        public var labelledStudies: Int?

        public init(
            package: Hash, live: Hash, trainingLabels: Int, newLabels: Int, heldOutLabels: Int,
            labelledStudies: Int? = nil
        ) {
            self.package = package
            self.live = live
            self.trainingLabels = trainingLabels
            self.newLabels = newLabels
            self.heldOutLabels = heldOutLabels
            self.labelledStudies = labelledStudies
        }
    }

    /// What this program understands beyond the first release; names that the hub does not know mean nothing to it.
    public var capabilities: [String]?

    /// Reasons of a refusal are text: one that the site does not know is final for the delta all the same.
    public static let takesAnyReason = "any-reason"

    public init(
        version: String, packages: [PackageState], capabilities: [String]? = nil, audit: AuditStatement? = nil
    ) {
        self.version = version
        self.packages = packages
        self.capabilities = capabilities
        self.audit = audit
    }
}

/// The hub's answer to a hello: what there is to fetch and to do.
public struct HubState: Codable, Sendable, Equatable {
    /// The site's name at the hub.
    public var site: String
    public var models: [Model]
    /// Of the hub's audit log; nil from a hub of an older release.
    public var audit: AuditStatement?

    public struct Model: Codable, Sendable, Equatable {
        public var name: String
        /// The current global version.
        public var version: ModelVersion
        /// Files of the package, to be fetched by hash when the site does not hold them yet.
        public var files: [File]
        /// Size of the parameters file in bytes.
        public var parametersBytes: Int
        /// The number of closed rounds that led to `version`.
        public var roundsClosed: Int
        /// The open round in which this site may still contribute.
        public var round: RoundConfig?
        /// Sites that have reported about `version`: at which it is live, and which refused it. Older hubs do not say.
        public var sitesLive: Int?
        public var sitesRefused: Int?

        public init(
            name: String, version: ModelVersion, files: [File], parametersBytes: Int, roundsClosed: Int,
            round: RoundConfig?, sitesLive: Int? = nil, sitesRefused: Int? = nil
        ) {
            self.name = name
            self.version = version
            self.files = files
            self.parametersBytes = parametersBytes
            self.roundsClosed = roundsClosed
            self.round = round
            self.sitesLive = sitesLive
            self.sitesRefused = sitesRefused
        }
    }

    public struct File: Codable, Sendable, Equatable {
        /// Path inside the package, for example `models/model.ts`.
        public var path: String
        public var hash: Hash
        public var bytes: Int

        public init(path: String, hash: Hash, bytes: Int) {
            self.path = path
            self.hash = hash
            self.bytes = bytes
        }
    }

    public init(site: String, models: [Model], audit: AuditStatement? = nil) {
        self.site = site
        self.models = models
        self.audit = audit
    }
}

/// How a site trains in one round.
public struct RoundConfig: Codable, Sendable, Equatable {
    /// Unique at the hub, ascending.
    public var round: Int
    /// Where training starts and what the delta is the difference to.
    public var base: ModelVersion
    /// Seconds until the hub stops waiting.
    public var secondsLeft: Int
    /// A site with fewer training labels does not take part.
    public var minimumLabels: Int
    public var epochs: Int
    public var batchStudies: Int
    public var optimiser: TrainingDefaults.Optimiser
    public var learningRate: Double
    public var weightDecay: Double
    public var momentum: Double
    /// Order of the examples; the same seed and examples give the same delta.
    public var seed: UInt64

    public init(
        round: Int, base: ModelVersion, secondsLeft: Int, minimumLabels: Int, epochs: Int, batchStudies: Int,
        optimiser: TrainingDefaults.Optimiser, learningRate: Double, weightDecay: Double, momentum: Double, seed: UInt64
    ) {
        self.round = round
        self.base = base
        self.secondsLeft = secondsLeft
        self.minimumLabels = minimumLabels
        self.epochs = epochs
        self.batchStudies = batchStudies
        self.optimiser = optimiser
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.momentum = momentum
        self.seed = seed
    }
}

/// Describes a delta before its bytes come.
public struct DeltaManifest: Codable, Sendable, Equatable {
    public var round: Int
    /// `ModelVersion.id` of the round's base.
    public var base: Hash
    /// Labelled studies it was trained on: its weight.
    public var examples: Int
    /// SHA-256 and size of the safetensors file.
    public var hash: Hash
    public var bytes: Int
    /// How the file encodes the values; `f32`.
    public var codec: String
    public var metrics: Metrics

    public struct Metrics: Codable, Sendable, Equatable {
        /// Mean training loss of the first and of the last epoch.
        public var lossFirstEpoch: Double
        public var lossLastEpoch: Double
        public var seconds: Double

        public init(lossFirstEpoch: Double, lossLastEpoch: Double, seconds: Double) {
            self.lossFirstEpoch = lossFirstEpoch
            self.lossLastEpoch = lossLastEpoch
            self.seconds = seconds
        }
    }

    public init(round: Int, base: Hash, examples: Int, hash: Hash, bytes: Int, codec: String, metrics: Metrics) {
        self.round = round
        self.base = base
        self.examples = examples
        self.hash = hash
        self.bytes = bytes
        self.codec = codec
        self.metrics = metrics
    }
}

/// What a site decided about a new global version, and what it measured.
public struct VersionReport: Codable, Sendable, Equatable {
    /// `ModelVersion.id`.
    public var version: Hash
    public var decision: Decision
    /// Held-out labels the measurement is made on.
    public var heldOutLabels: Int
    /// Mean AUC over findings of the new and of the live version; nil when there are too few labels.
    public var candidateAUC: Double?
    public var liveAUC: Double?
    /// Why, by a name such as `flagged-share`; nil from a site that gives none.
    public var reason: String?
    /// What the decision rests on beside the AUC; nil from a site that does not judge it.
    public var figures: Figures?

    /// Shares from 0 to 1 at the operating threshold, means over findings; nil where nothing is known.
    public struct Figures: Codable, Sendable, Equatable {
        public var candidateSensitivity: Double?
        public var liveSensitivity: Double?
        public var candidateSpecificity: Double?
        public var liveSpecificity: Double?
        /// Share of the site's newest studies that is flagged, with or without a label.
        public var candidateFlagged: Double?
        public var liveFlagged: Double?
        /// How many newest studies these are.
        public var recentStudies: Int

        public init(
            candidateSensitivity: Double? = nil, liveSensitivity: Double? = nil, candidateSpecificity: Double? = nil,
            liveSpecificity: Double? = nil, candidateFlagged: Double? = nil, liveFlagged: Double? = nil,
            recentStudies: Int = 0
        ) {
            self.candidateSensitivity = candidateSensitivity
            self.liveSensitivity = liveSensitivity
            self.candidateSpecificity = candidateSpecificity
            self.liveSpecificity = liveSpecificity
            self.candidateFlagged = candidateFlagged
            self.liveFlagged = liveFlagged
            self.recentStudies = recentStudies
        }

        /// All shares that are known.
        public var shares: [Double] {
            [
                candidateSensitivity, liveSensitivity, candidateSpecificity, liveSpecificity, candidateFlagged,
                liveFlagged,
            ].compactMap { $0 }
        }
    }

    public enum Decision: String, Codable, Sendable {
        case live
        /// Worse than the live version by more than the rule allows.
        case refused
        /// Too few held-out labels to judge; the site will try again when there are more.
        case waiting
    }

    public init(
        version: Hash, decision: Decision, heldOutLabels: Int, candidateAUC: Double?, liveAUC: Double?,
        reason: String? = nil, figures: Figures? = nil
    ) {
        self.version = version
        self.decision = decision
        self.heldOutLabels = heldOutLabels
        self.candidateAUC = candidateAUC
        self.liveAUC = liveAUC
        self.reason = reason
        self.figures = figures
    }
}
