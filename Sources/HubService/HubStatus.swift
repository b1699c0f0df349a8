// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// What the hub shows to its operator: `/api/status` (keys in snake_case), the page, `gantry-hub status`, metrics.
///
/// Times are Unix milliseconds in UTC. There is nothing in it about any patient: the hub knows of none.
public struct HubStatus: Codable, Sendable, Equatable {
    public var version: String
    public var endpoint: String
    public var publicKey: String
    public var nowMs: Int64
    public var models: [ModelStatus]
    public var sites: [SiteStatus]
    public var refusals: [Refusal]
    /// The newest decisions, newest first.
    public var audit: [Decision]

    public struct ModelStatus: Codable, Sendable, Equatable {
        public var name: String
        public var title: String
        public var package: String
        public var strategy: String
        /// Number of the current version; 0 is the package's own.
        public var currentVersion: Int
        public var parametersBytes: Int
        public var roundsClosed: Int
        public var roundsVoid: Int
        /// 0: no limit.
        public var roundLimit: Int
        /// Why no round is open; nil while one is.
        public var waitingFor: String?
        /// The newest rounds, newest first; an open one is the first.
        public var rounds: [RoundStatus]
        /// Oldest first.
        public var versions: [VersionStatus]
        /// Held-out AUC of each site by version: what the chart draws.
        public var series: [Series]
    }

    public struct RoundStatus: Codable, Sendable, Equatable {
        public var number: Int
        /// open, aggregating, closed or void.
        public var state: String
        public var baseVersion: Int
        public var openedAtMs: Int64
        public var deadlineMs: Int64
        public var endedAtMs: Int64?
        public var secondsLeft: Int
        public var extensionsUsed: Int
        public var quorum: Int
        public var reason: String?
        public var sites: [Member]
    }

    /// A site of a round's cohort.
    public struct Member: Codable, Sendable, Equatable {
        public var site: String
        /// waiting, receiving, accepted or out-of-line.
        public var state: String
        /// Why a screen kept its delta out; nil in every other state.
        public var why: String?
        public var receivedBytes: Int
        public var bytes: Int
        public var examples: Int
    }

    public struct VersionStatus: Codable, Sendable, Equatable {
        public var number: Int
        public var id: String
        public var round: Int?
        public var createdAtMs: Int64
        /// More than half of the sites that decided refused it: no round starts from it.
        public var refusedByMost: Bool
        public var reports: [Report]
    }

    public struct Report: Codable, Sendable, Equatable {
        public var site: String
        /// live, refused or waiting.
        public var decision: String
        public var heldOutLabels: Int
        public var candidateAuc: Double?
        public var liveAuc: Double?
        /// Why the site decided so, by name; nil when it does not say.
        public var reason: String?
        public var candidateSensitivity: Double?
        public var liveSensitivity: Double?
        public var candidateSpecificity: Double?
        public var liveSpecificity: Double?
        /// Share of the site's newest studies that is flagged.
        public var candidateFlagged: Double?
        public var liveFlagged: Double?
    }

    public struct Series: Codable, Sendable, Equatable {
        public var site: String
        public var points: [Point]
    }

    public struct Point: Codable, Sendable, Equatable {
        public var version: Int
        public var auc: Double
    }

    public struct SiteStatus: Codable, Sendable, Equatable {
        public var name: String
        public var enrolledAtMs: Int64
        public var revoked: Bool
        public var online: Bool
        public var lastSeenMs: Int64?
        /// The worker's program version.
        public var program: String?
        public var packages: [Package]
        /// When its audit log was last found to be rewritten, cut off or restored; nil for never.
        public var logRewrittenAtMs: Int64?
    }

    /// What a site holds of one model.
    public struct Package: Codable, Sendable, Equatable {
        public var model: String
        /// Number of the version that flags studies there; nil when the hub does not know it.
        public var liveVersion: Int?
        public var trainingLabels: Int
        public var newLabels: Int
        public var heldOutLabels: Int
    }

    public struct Refusal: Codable, Sendable, Equatable {
        /// Empty for peers that are not enrolled.
        public var site: String
        public var reason: String
        public var count: Int
        public var lastAtMs: Int64
    }

    public struct Decision: Codable, Sendable, Equatable {
        public var number: Int64
        public var atMs: Int64
        public var event: String
        public var detail: [String: String]
    }

    /// The bytes of `/api/status`.
    public func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}
