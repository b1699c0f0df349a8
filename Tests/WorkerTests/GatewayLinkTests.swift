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
        #expect(delivery.arrival.gateway == "first" && delivery.pieces.map(\.bytes) == [[1, 2, 3]])
        try second.wait {
            try second.hello()
            return link.gateways.contains("second") && second.lastCredit == alone / 2
        }
    }

    @Test func `An instance in pieces is one delivery, as one in a single frame is`() throws {
        let link = try open(silence: .seconds(60))
        defer { link.stop() }
        let gateway = try GatewayClient(link.endpoint, name: "gateway")
        try gateway.hello()
        try gateway.wait { (gateway.lastCredit ?? 0) > 0 }
        let texts = ["GANTRY1 instance", "1", "an-instance", "5", "CT"].map { Data($0.utf8) }
        try gateway.send(frames: texts + [Data([1, 2]), Data(), Data([3, 4, 5])])
        try gateway.send(frames: texts + [Data([1, 2, 3, 4, 5])])
        for _ in 0..<2 {
            let delivery = try #require(deliveries.take(upTo: 1, milliseconds: 60_000).first)
            var room = [UInt8](repeating: 0, count: 4)
            room.withUnsafeMutableBytes { delivery.pieces.copy(to: $0) }
            #expect(Data(delivery.pieces) == Data([1, 2, 3, 4, 5]) && delivery.bytes == 5)
            #expect(room == [1, 2, 3, 4])
        }
    }

    @Test func `A message of countless frames is refused by name`() throws {
        let link = try open(silence: .seconds(60))
        defer { link.stop() }
        let gateway = try GatewayClient(link.endpoint, name: "gateway")
        try gateway.hello()
        let texts = ["GANTRY1 instance", "1", "an-instance", "5", "CT"].map { Data($0.utf8) }
        try gateway.send(frames: texts + [Data](repeating: Data(), count: 5_000))
        try gateway.wait {
            gateway.received.contains { if case .error("too-many-fields", _) = $0 { true } else { false } }
        }
        #expect(deliveries.count == 0)
    }

    @Test func `A gateway of an older release whose connection breaks at each instance gets no more of them`() {
        var older = OlderGateways()
        let start = ContinuousClock.now
        func meet(_ seconds: Int, _ session: String = "s", isNew: Bool = true, _ pieces: Int? = nil) -> String? {
            older.met(
                "gateway", session, Capabilities(pieceBytes: pieces), isNew: isNew, at: start + .seconds(seconds))
        }
        #expect(meet(0) == nil)
        // Its hellos, and a connection that broke for another reason.
        #expect(meet(1, isNew: false) == nil && meet(100) == nil && !older.isHeld("gateway"))
        #expect(meet(101) == nil && meet(102) == nil && meet(103) != nil)
        #expect(older.isHeld("gateway"))
        // Told once, and it stays so until it is another process, or another release.
        #expect(meet(104, isNew: false) == nil && older.isHeld("gateway"))
        #expect(meet(105, "next") == nil && !older.isHeld("gateway"))
        #expect(meet(106, "next", 1 << 20) == nil && !older.isHeld("gateway"))
    }
}
