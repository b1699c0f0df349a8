// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import ModelPackage

/// What a hub offered last of a package.
public struct HubOffer: Sendable, Equatable {
    public var version: ModelVersion
    /// The hub's endpoint.
    public var hub: String
    public var parametersBytes: Int
    /// Closed rounds that led to the version.
    public var round: Int
    /// Sites at which the version is live, and that refused it; nil when the hub does not say.
    public var sitesLive: Int?
    public var sitesRefused: Int?
    /// Unix milliseconds UTC
    public var offeredAt: Int64
    /// The parameters of the version that an administrator has approved.
    public var approved: Hash?
    public var approvedRound = 0
    /// Why it is not taken; empty for nothing.
    public var problem: String

    public init(
        version: ModelVersion, hub: String, parametersBytes: Int, round: Int, sitesLive: Int? = nil,
        sitesRefused: Int? = nil, offeredAt: Int64, approved: Hash? = nil, problem: String = ""
    ) {
        self.version = version
        self.hub = hub
        self.parametersBytes = parametersBytes
        self.round = round
        self.sitesLive = sitesLive
        self.sitesRefused = sitesRefused
        self.offeredAt = offeredAt
        self.approved = approved
        self.problem = problem
    }

    init(_ row: Row) throws {
        guard let package = Hash(hex: row["package"]), let parameters = Hash(hex: row["parameters"]) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "hub_offer holds a value that is no SHA-256")
        }
        version = ModelVersion(package: package, parameters: parameters)
        hub = row["hub"]
        parametersBytes = row["parameters_bytes"]
        round = row["round"]
        sitesLive = row["sites_live"]
        sitesRefused = row["sites_refused"]
        offeredAt = row["offered_at_ms"]
        approved = (row["approved_parameters"] as String?).flatMap { Hash(hex: $0) }
        approvedRound = row["approved_round"]
        problem = row["problem"]
    }
}
