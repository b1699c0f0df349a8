// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import GRDB
import Synchronization
import Testing
import Triage
import Wire

@testable import WorkerService
@testable import WorkerStore

/// What a gateway lost, and what the worker lost itself.
@Suite struct DurabilityTests {
    private let folder: TemporaryFolder
    private let clock = VirtualClock()

    init() throws {
        folder = try TemporaryFolder()
        try WorkerStore(directory: folder.url).addModel(manifest(), version("one"))
    }

    private func desk() throws -> Desk {
        let desk = try Desk(folder.url, clock: clock)
        desk.hello(ReceiptBook(state: "gateway", serial: 10))
        return desk
    }

    /// A study with its final flag, acknowledged with `receipt`.
    private func finish(_ desk: Desk, _ study: String, receipt: Int64) throws -> Flag {
        desk.turn(.reading(try desk.scored(study, "\(study).1", 0.1)))
        desk.wait(2000)
        let flag = try #require(desk.flags().last)
        desk.acknowledge(flag, receipt: Receipt(state: "gateway", serial: receipt))
        _ = desk.sent()
        return flag
    }

    @Test func `Flags that a gateway lost with its last commits are sent again, and no others`() throws {
        let desk = try desk()
        _ = try finish(desk, "1.1", receipt: 9)
        let lost = try finish(desk, "1.2", receipt: 11)
        desk.hello(ReceiptBook(state: "gateway", serial: 5000, voids: [11...4999]))
        #expect(Set(desk.flags().map(\.flag)) == [lost.flag])
    }

    @Test func `A gateway with a new database gets all flags of the last months again`() throws {
        let desk = try desk()
        let flags = [try finish(desk, "1.1", receipt: 9), try finish(desk, "1.2", receipt: 11)]
        desk.hello(ReceiptBook(state: "another"))
        #expect(Set(desk.flags().map(\.flag)) == Set(flags.map(\.flag)))
    }

    @Test func `A gateway that cannot use its database at present gets nothing again`() throws {
        let desk = try desk()
        _ = try finish(desk, "1.1", receipt: 9)
        desk.hello(ReceiptBook(state: ""))
        #expect(desk.flags().isEmpty)
    }

    @Test func `An acknowledgement from before a loss that comes after the hello is not believed`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        desk.wait(2000)
        let flag = try #require(desk.flags().last)
        desk.hello(ReceiptBook(state: "gateway", serial: 5000, voids: [11...4999]))
        _ = desk.sent()
        desk.acknowledge(flag, receipt: Receipt(state: "gateway", serial: 12))
        desk.wait(5000)
        #expect(desk.flags().map(\.flag) == [flag.flag])
    }

    @Test func `A gateway that shows a higher revision gets the present one under a number above it`() throws {
        let desk = try desk()
        desk.turn(.reading(try desk.scored("1.1", "1.1.1", 0.1)))
        desk.wait(2000)
        let flag = try #require(desk.flags().last)
        desk.acknowledge(flag, held: 7, receipt: Receipt(state: "gateway", serial: 11))
        let renumbered = try #require(desk.flags().last)
        #expect(renumbered.revision == 8 && renumbered.state == .final && renumbered.findings == flag.findings)
        desk.acknowledge(renumbered, receipt: Receipt(state: "gateway", serial: 12))
        desk.wait(5000)
        #expect(desk.flags().isEmpty)
        // A late instance goes on from there.
        desk.turn(.reading(try desk.scored("1.1", "1.1.2", 0.1)))
        desk.wait(2000)
        #expect(desk.flags().last?.revision == 9)
    }

    @Test func `Acknowledgements of one transaction share a receipt, the next ones have a higher one`() throws {
        let desk = try desk()
        desk.turn(
            .reading(try desk.scored("1.1", "1.1.1", 0.1)), .reading(try desk.scored("1.1", "1.1.2", 0.1)))
        desk.turn(.reading(try desk.scored("1.1", "1.1.3", 0.1)))
        let serials = desk.acks().compactMap { message -> Int64? in
            guard case .ack(_, _, _, _, _, let receipt) = message else { return nil }
            return receipt.serial
        }
        #expect(serials.count == 3 && serials[0] == serials[1] && serials[1] < serials[2])
    }

    @Test func `What a worker acknowledged before it lost its last commits is not in its book`() throws {
        let file = folder.url.appending(path: "worker.sqlite")
        let store = try WorkerStore(directory: folder.url)
        let kept = try store.write { try $0.nextReceipt() }
        // As the files were before the last commit.
        let copy = folder.url.appending(path: "copy", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(
                atPath: file.path + suffix, toPath: copy.appending(path: "worker.sqlite" + suffix).path)
        }
        let lost = try store.write { try $0.nextReceipt() }
        let book = try WorkerStore(directory: copy).read { try $0.receipts() }
        #expect(book.holds(kept))
        #expect(!book.holds(lost))
    }

    @Test func `A database that is not one is set aside at start, and a fresh one begins with another state`() throws {
        let state = try WorkerStore(directory: folder.url).read { try $0.receipts().state }
        let file = folder.url.appending(path: "worker.sqlite")
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file.path + suffix) }
        try Data((0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 37) }).write(to: file)
        let store = try WorkerStore(directory: folder.url)
        let aside = try #require(store.setAside)
        #expect(FileManager.default.fileExists(atPath: aside.path))
        #expect(try store.read { try $0.receipts().state } != state)
        #expect(store.setAsides().count == 1)
        #expect(store.setAsides().last == aside)
        // Said once: the next opening finds nothing wrong.
        #expect(try WorkerStore(directory: folder.url).setAside == nil)
    }

    @Test func `Damage that is met in use is reported once and set aside at the next opening`() throws {
        let store = try WorkerStore(directory: folder.url)
        let reported = Reports()
        store.whenDamaged { reported.add() }
        for _ in 0..<2 {
            #expect(throws: WorkerStoreError.self) {
                try store.read { _ in throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a bad page") }
            }
        }
        #expect(store.isDamaged && reported.count == 1)
        #expect(throws: WorkerStoreError.self) { try store.write { _ in } }
        let next = try WorkerStore(directory: folder.url)
        #expect(next.setAside?.reason.contains("a bad page") == true)
        #expect(!next.isDamaged)
    }

    @Test func `The command line sets nothing aside`() throws {
        let file = folder.url.appending(path: "worker.sqlite")
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file.path + suffix) }
        try Data(repeating: 7, count: 9000).write(to: file)
        #expect(throws: WorkerStoreError.self) { try WorkerStore(directory: folder.url, create: false) }
        #expect(FileManager.default.fileExists(atPath: file.path))
    }
}

private final class Reports: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func add() { value.withLock { $0 += 1 } }
}
