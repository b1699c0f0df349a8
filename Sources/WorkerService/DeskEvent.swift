// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Wire
import WorkerStore

/// What the study desk has to commit or to answer.
enum DeskEvent: Sendable {
    case reading(InstanceReading)
    /// The host's word about a study; holds from `mark` on the gateway's arrival clock.
    case studyComplete(study: StudyKey, mark: Int)
    case review(gateway: String, id: String, document: Data)
    case flagAck(gateway: String, flag: String, revision: Int, held: Int, report: String, receipt: Receipt)
    /// `isNew`: the gateway or its connection was not known before.
    case gatewayHello(gateway: String, isNew: Bool, receipts: ReceiptBook)
}
