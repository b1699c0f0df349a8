// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import ZeroMQ

extension ToHub {
    /// The clear-text frames of the message in order: exactly what is encrypted and sent.
    ///
    /// - Throws: `FederationError.badDocument` when a metric is not a finite number.
    public func parts() throws(FederationError) -> [Data] {
        switch self {
        case .hello(let state): try FederationParts.document(verb: "hello", state).parts
        case .fetch(let hash, let offset, let length):
            FederationParts(verb: "fetch", fields: [hash.hex, String(offset), String(length)]).parts
        case .offer(let manifest): try FederationParts.document(verb: "offer", manifest).parts
        case .chunk(let round, let hash, let offset, let bytes):
            FederationParts(verb: "chunk", fields: [String(round), hash.hex, String(offset)], payload: bytes).parts
        case .report(let report): try FederationParts.document(verb: "report", report).parts
        }
    }

    /// The message as frames for a DEALER socket.
    public func frames() throws(FederationError) -> [Frame] { try parts().frames }

    /// - Parameter parts: all frames in order, without a ROUTER's identity frame.
    public init(parts: [Data]) throws(FederationError) {
        let message = try FederationParts(parts, limit: FederationLimits.pieceBytes)
        let limit = FederationLimits.siteDocumentBytes
        switch message.verb {
        case "hello":
            try message.expect(fields: 0)
            let state = try message.document(SiteState.self, limit: limit)
            try state.check(message)
            self = .hello(state)
        case "fetch":
            try message.expect(fields: 3)
            try message.expectNoPayload()
            let length = try message.integer(2, "length", limit: FederationLimits.pieceBytes)
            try message.check(length > 0, "length")
            self = .fetch(
                hash: try message.hash(0, "hash"),
                offset: try message.integer(1, "offset", limit: FederationLimits.fileBytes), length: length)
        case "offer":
            try message.expect(fields: 0)
            let manifest = try message.document(DeltaManifest.self, limit: limit)
            try message.check(manifest.codec.isWireName, "codec")
            try message.check((0...FederationLimits.count).contains(manifest.round), "round")
            self = .offer(manifest)
        case "chunk":
            try message.expect(fields: 3)
            try message.check(!message.payload.isEmpty, "bytes")
            self = .chunk(
                round: try message.integer(0, "round", limit: FederationLimits.count),
                hash: try message.hash(1, "hash"),
                offset: try message.integer(2, "offset", limit: FederationLimits.fileBytes), bytes: message.payload)
        case "report":
            try message.expect(fields: 0)
            let report = try message.document(VersionReport.self, limit: limit)
            try message.check((0...FederationLimits.count).contains(report.heldOutLabels), "heldOutLabels")
            try message.check(report.candidateAUC.isProbability, "candidateAUC")
            try message.check(report.liveAUC.isProbability, "liveAUC")
            try message.check(report.reason?.isWireName ?? true, "reason")
            if let figures = report.figures {
                try message.check(figures.shares.allSatisfy { (0...1).contains($0) }, "figures")
                try message.check((0...FederationLimits.count).contains(figures.recentStudies), "figures")
            }
            self = .report(report)
        default: throw .unknownVerb(message.verb)
        }
    }

    /// - Parameter frames: all frames in order, without a ROUTER's identity frame.
    public init(frames: some Sequence<Frame>) throws(FederationError) {
        try self.init(parts: [Data](frames))
    }
}

extension SiteState {
    fileprivate func check(_ message: FederationParts) throws(FederationError) {
        try message.check(version.isWireName, "version")
        try message.check(audit?.isSane ?? true, "audit")
        try message.check(packages.count <= FederationLimits.packages, "packages")
        let capabilities = capabilities ?? []
        try message.check(
            capabilities.count <= FederationLimits.capabilities && capabilities.allSatisfy(\.isWireName), "capabilities"
        )
        for package in packages {
            let counts = [
                package.trainingLabels, package.newLabels, package.heldOutLabels, package.labelledStudies ?? 0,
            ]
            try message.check(counts.allSatisfy { (0...FederationLimits.count).contains($0) }, "packages")
        }
    }
}

extension String {
    /// Short printable ASCII: fit for a log line and for a page.
    var isWireName: Bool {
        (1...FederationLimits.nameBytes).contains(utf8.count) && utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }
}

extension Double? {
    /// Nothing, or from 0 to 1.
    fileprivate var isProbability: Bool { self.map { (0...1).contains($0) } ?? true }
}
