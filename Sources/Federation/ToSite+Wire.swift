// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import ZeroMQ

extension ToSite {
    /// The clear-text frames of the message in order.
    ///
    /// - Throws: `FederationError.badDocument` when a setting of a round is not a finite number.
    public func parts() throws(FederationError) -> [Data] {
        switch self {
        case .welcome(let state): try FederationParts.document(verb: "welcome", state).parts
        case .piece(let hash, let offset, let bytes):
            FederationParts(verb: "piece", fields: [hash.hex, String(offset)], payload: bytes).parts
        case .resume(let round, let received):
            FederationParts(verb: "resume", fields: [String(round), String(received)]).parts
        case .accepted(let round): FederationParts(verb: "accepted", fields: [String(round)]).parts
        case .refused(let round, let reason):
            FederationParts(verb: "refused", fields: [String(round), reason.rawValue]).parts
        case .noted(let version): FederationParts(verb: "noted", fields: [version.hex]).parts
        case .error(let name, let text):
            FederationParts(verb: "error", fields: [Self.short(name), Self.short(text)]).parts
        }
    }

    /// The message as frames, to be sent behind the site's identity frame.
    public func frames() throws(FederationError) -> [Frame] { try parts().frames }

    /// - Parameter parts: all frames in order.
    public init(parts: [Data]) throws(FederationError) {
        let message = try FederationParts(parts, limit: FederationLimits.hubDocumentBytes)
        if message.verb != "welcome", message.verb != "piece" { try message.expectNoPayload() }
        switch message.verb {
        case "welcome":
            try message.expect(fields: 0)
            let state = try message.document(HubState.self, limit: FederationLimits.hubDocumentBytes)
            try state.check(message)
            self = .welcome(state)
        case "piece":
            try message.expect(fields: 2)
            self = .piece(
                hash: try message.hash(0, "hash"),
                offset: try message.integer(1, "offset", limit: FederationLimits.fileBytes), bytes: message.payload)
        case "resume":
            try message.expect(fields: 2)
            self = .resume(
                round: try message.integer(0, "round", limit: FederationLimits.count),
                received: try message.integer(1, "received", limit: FederationLimits.fileBytes))
        case "accepted":
            try message.expect(fields: 1)
            self = .accepted(round: try message.integer(0, "round", limit: FederationLimits.count))
        case "refused":
            try message.expect(fields: 2)
            try message.check(message.fields[1].isWireName, "reason")
            self = .refused(
                round: try message.integer(0, "round", limit: FederationLimits.count),
                reason: DeltaRefusal(rawValue: message.fields[1]))
        case "noted":
            try message.expect(fields: 1)
            self = .noted(version: try message.hash(0, "version"))
        case "error":
            try message.expect(fields: 2)
            self = .error(name: message.fields[0], text: message.fields[1])
        default: throw .unknownVerb(message.verb)
        }
    }

    /// - Parameter frames: all frames in order.
    public init(frames: some Sequence<Frame>) throws(FederationError) {
        try self.init(parts: [Data](frames))
    }

    /// A field that the other side will take, cut at a character.
    private static func short(_ text: String) -> String {
        var text = text
        while text.utf8.count > FederationLimits.fieldBytes { text.removeLast() }
        return text
    }
}

extension HubState {
    /// A site writes files under the names that the hub gives, so a name must stay inside the package's folder.
    fileprivate func check(_ message: FederationParts) throws(FederationError) {
        try message.check(audit?.isSane ?? true, "audit")
        try message.check(models.count <= FederationLimits.models, "models")
        try message.check(Set(models.map(\.version.package)).count == models.count, "models.version.package")
        for model in models {
            try message.check(model.files.count <= ModelPackage.fileLimit, "models.files")
            try message.check(Set(model.files.map(\.path)).count == model.files.count, "models.files.path")
            for sites in [model.sitesLive, model.sitesRefused].compactMap(\.self) {
                try message.check((0...FederationLimits.count).contains(sites), "models.sitesLive")
            }
            try message.check((0...FederationLimits.count).contains(model.roundsClosed), "models.roundsClosed")
            try message.check(model.name.isWireName && !model.name.contains("/"), "models.name")
            try message.check(
                (0...FederationLimits.fileBytes).contains(model.parametersBytes), "models.parametersBytes")
            for file in model.files {
                try message.check(ModelPackage.isSafe(path: file.path), "models.files.path")
                try message.check((0...FederationLimits.fileBytes).contains(file.bytes), "models.files.bytes")
            }
            guard let round = model.round else { continue }
            try message.check((0...FederationLimits.count).contains(round.round), "models.round.round")
            try message.check((1...1000).contains(round.epochs), "models.round.epochs")
            try message.check((1...4096).contains(round.batchStudies), "models.round.batchStudies")
        }
    }
}
