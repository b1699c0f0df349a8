// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage
import Wire
import WorkerStore

/// What gateways still know of what they acknowledged; see `ReceiptBook`.
extension StudyDesk {
    /// A gateway forgets flags after some weeks; older ones are not pressed on it after a loss.
    static let keepMilliseconds: Int64 = 90 * 86_400_000

    /// A gateway has said hello: flags that it lost are sent again.
    func meet(_ gateway: String, _ receipts: ReceiptBook, _ transaction: WorkerTransaction) throws {
        // Its database cannot be used at present; it says hello again when it can.
        guard !receipts.state.isEmpty else {
            books[gateway] = nil
            return
        }
        books[gateway] = receipts
        let count = try transaction.unacknowledgeFlags(
            gateway: gateway, notHeldBy: receipts, since: timepiece.unix() - Self.keepMilliseconds)
        if count > 0 { log.notice("gateway \(gateway) has lost \(count) flags; they are sent again") }
    }

    /// The gateway has committed a flag.
    ///
    /// - Parameter held: the revision that it shows. A higher one than ours was told by this worker and lost with its
    ///   last commits, or by an earlier database: what is said now is the truth, so it is numbered above.
    func takeFlagAck(
        gateway: String, flag: String, revision: Int, held: Int, report: String, receipt: Receipt,
        _ effects: inout Effects, _ transaction: WorkerTransaction
    ) throws {
        // An acknowledgement from before a loss may be overtaken by the hello after it.
        guard books[gateway]?.mayHold(receipt) == true, let row = try transaction.flag(flag, gateway: gateway) else {
            return
        }
        guard held > row.revision, held < Int.max / 2 else {
            return try transaction.acknowledgeFlag(
                flag, gateway: gateway, revision: revision, report: report, receipt: receipt)
        }
        let renumbered = try renumber(row, above: held)
        try transaction.save(renumbered)
        if let version = Hash(hex: row.modelVersion) {
            studies[row.study]?.readings[version]?.flag = renumbered
        }
        if !renumbered.document.isEmpty { effects.flags.append(renumbered) }
    }

    private func renumber(_ row: FlagRow, above held: Int) throws -> FlagRow {
        var row = row
        row.revision = held + 1
        guard !row.document.isEmpty else { return row }
        var told = try JSONDecoder().decode(Flag.self, from: Data(row.document.utf8))
        told.revision = row.revision
        row.document = String(decoding: try JSONEncoder().encode(told), as: UTF8.self)
        return row
    }
}
