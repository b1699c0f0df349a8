// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import Testing
import Wire
import WorkerStore
import ZeroMQ

@testable import WorkerService

/// The worker's end of the hand-over, without the worker behind it.
@Suite struct GatewayLinkTests {
    private let folder: TemporaryFolder
    private let deliveries = Conveyor<Delivery>()

    init() throws { folder = try TemporaryFolder() }

    private func open(silence: Duration) throws -> GatewayLink {
        var settings = WorkerSettings(state: folder.url)
        settings.endpoint = "ipc://\(folder.url.path)/worker.ipc"
        let link = try GatewayLink(
            settings: settings, context: Context(), ledger: ArrivalLedger(timepiece: .system), deliveries: deliveries,
            events: Conveyor(), results: Conveyor(), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            silence: silence, receipts: { ReceiptBook(state: "worker-state", serial: 1) })
        link.setScoring(true)
        return link
    }

    @Test func `A silent gateway loses its credit, and what it sends later is taken`() throws {
        let link = try open(silence: .milliseconds(300))
        defer { link.stop() }
        let first = try GatewayClient(link.endpoint, name: "first")
        let second = try GatewayClient(link.endpoint, name: "second")
        try first.hello()
        try first.wait { (first.lastCredit ?? 0) > 0 }
        let alone = try #require(first.lastCredit)
        // The second one speaks until the first one's credit is its own.
        try second.wait {
            try second.hello()
            return second.lastCredit == alone && link.gateways == ["second"]
        }
        try first.instance(Data([1, 2, 3]))
        let delivery = try #require(deliveries.take(upTo: 1, milliseconds: 60_000).first)
        #expect(delivery.arrival.gateway == "first" && delivery.payload.bytes == [1, 2, 3])
        try second.wait {
            try second.hello()
            return link.gateways.contains("second") && second.lastCredit == alone / 2
        }
    }
}
