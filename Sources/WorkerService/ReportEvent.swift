// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Wire

/// What gateways answer to the report room.
enum ReportEvent: Sendable {
    /// An instance that was asked for; nil: the gateway no longer has it.
    case fetched(request: Int64, file: Data?)
    /// - Parameter refusal: nil when the gateway has committed the object.
    case acknowledged(gateway: String, object: String, refusal: String?, receipt: Receipt)
    /// A gateway, or a connection of it, that was not known before, with what it still knows.
    case gatewayHello(gateway: String, receipts: ReceiptBook)
}
