// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import Triage
import WorkerStore

extension HubLink {
    private static let chunkBytes = 512 << 10

    /// Sends every delta that the hub has not answered for.
    func sendDeltas(_ connection: HubConnection) throws {
        for row in try store.read({ try $0.deltasToSend() }) { try send(row, connection) }
    }

    private func send(_ row: DeltaRow, _ connection: HubConnection) throws {
        let file = store.deltaFile(row.hash)
        guard let manifest = try? JSONDecoder().decode(DeltaManifest.self, from: Data(row.manifest.utf8)),
            let handle = try? FileHandle(forReadingFrom: file)
        else {
            log.error("round \(row.round): the delta's file \(file.lastPathComponent) is gone")
            return try settle(row, .refused, "file-lost")
        }
        defer { try? handle.close() }
        if row.state == .created { try settle(row, .sending, "") }
        var answer = try ask(.offer(manifest), connection)
        var steps = 0
        // A hub that always wants the same piece again must not keep this thread for ever.
        let mostSteps = 2 * (manifest.bytes / Self.chunkBytes + 8)
        while case .resume(_, let received) = answer, steps < mostSteps {
            steps += 1
            try handle.seek(toOffset: UInt64(min(received, manifest.bytes)))
            guard let piece = try handle.read(upToCount: Self.chunkBytes), !piece.isEmpty else {
                throw HubConnection.Failure.unexpected("resume at \(received) of \(manifest.bytes) bytes")
            }
            answer = try ask(
                .chunk(round: row.round, hash: manifest.hash, offset: received, bytes: piece), connection)
        }
        switch answer {
        case .accepted:
            log.info("round \(row.round): the hub accepted the delta (\(manifest.bytes) bytes)")
            try settle(row, .accepted, "")
            try? FileManager.default.removeItem(at: file)
        case .refused(_, let reason):
            log.warning("round \(row.round): the hub refused the delta: \(reason.rawValue)")
            try settle(row, .refused, reason.rawValue)
            try? FileManager.default.removeItem(at: file)
        default: throw HubConnection.Failure.unexpected("\(answer)")
        }
    }

    private func settle(_ row: DeltaRow, _ state: DeltaRow.State, _ reason: String) throws {
        var row = row
        row.state = state
        row.reason = reason
        let settled = row
        try store.write { try $0.save(settled) }
    }

    /// Tells the hub what the guard decided.
    func sendReports(_ connection: HubConnection) throws {
        for row in try store.read({ try $0.versionsToReport() }) {
            let decision: VersionReport.Decision? =
                switch row.state {
                case .live: .live
                case .refused: .refused
                case .waiting: .waiting
                case .candidate, .superseded: nil
                }
            if let decision {
                let judgement = try store.read { try $0.judgement(of: row.version.id) }
                let report = VersionReport(
                    version: row.version.id, decision: decision, heldOutLabels: row.heldOutLabels,
                    candidateAUC: row.candidateAUC, liveAUC: row.liveAUC,
                    reason: judgement.flatMap { $0.reason.isEmpty ? nil : $0.reason },
                    figures: judgement.map { VersionReport.Figures($0.figures) })
                do {
                    guard case .noted(row.version.id) = try ask(.report(report), connection) else {
                        throw HubConnection.Failure.unexpected("no note of a version")
                    }
                } catch HubConnection.Failure.hub(let name, let text) {
                    // For example a version of a package that this hub does not know.
                    log.info("the hub does not take a report about version \(row.version.id.short): \(name): \(text)")
                }
            }
            try store.write { try $0.reported(row) }
        }
    }
}

extension VersionReport.Figures {
    fileprivate init(_ figures: GuardFigures) {
        self.init(
            candidateSensitivity: figures.candidateSensitivity, liveSensitivity: figures.liveSensitivity,
            candidateSpecificity: figures.candidateSpecificity, liveSpecificity: figures.liveSpecificity,
            candidateFlagged: figures.candidateFlagged, liveFlagged: figures.liveFlagged,
            recentStudies: figures.recentStudies)
    }
}
