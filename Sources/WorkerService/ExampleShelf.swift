// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import Torch
import WorkerStore

/// The preprocessed slices of scored studies, kept within a disk budget for labels that come later.
///
/// A file grows while its study arrives (`ExampleWriter`); the row in the database says how many of its slices are
/// committed. Names are random and tell nothing. Belongs to the study desk's thread.
final class ExampleShelf {
    /// More for one study than this is not worth its disk.
    private static let largestExampleBytes = 512 << 20
    /// Files that are kept open for studies that are arriving.
    private static let mostOpenFiles = 64

    private let store: WorkerStore
    private let budgetBytes: Int
    /// The last space of the disk is for the database and the gateway: an example is worth less than a flag.
    private let reserve: DiskReserve
    private let log: Logger
    private var writers: [String: ExampleWriter] = [:]
    /// Of all examples, also those that grow; nil: to be counted in the database.
    private var totalBytes: Int?
    private var isDiskShort = false

    init(store: WorkerStore, budgetBytes: Int, reserve: DiskReserve, log: Logger) {
        self.store = store
        self.budgetBytes = budgetBytes
        self.reserve = reserve
        self.log = log
    }

    /// Appends slices behind the committed ones and counts them in `example`; save the row in `transaction`, which also
    /// keeps the scores. Without room in the budget or on the disk the example is given up.
    func append(
        _ slices: [InstanceReading.KeptSlices], to example: inout ExampleRow, shape: InputShape,
        _ transaction: WorkerTransaction
    ) {
        guard example.state == .growing else { return }
        do {
            for kept in slices {
                let bytes = 2 * kept.values.count
                guard example.bytes + bytes <= Self.largestExampleBytes, try hasRoom(for: bytes, transaction) else {
                    drop(&example)
                    return
                }
                let writer = try writer(for: example, shape)
                try writer.append(kept.values, slices: kept.count)
                example.slices += kept.count
                example.bytes += bytes
                totalBytes? += bytes
            }
        } catch {
            log.warning("an example cannot be written and is given up: \(error)")
            drop(&example)
        }
    }

    /// The study is complete; an example that is not what its row says is given up.
    func finish(_ example: inout ExampleRow) {
        guard example.state == .growing else { return }
        writers[example.file] = nil
        if example.slices > 0, let file = try? ExampleFile(url(example.file)), file.count >= example.slices {
            example.state = .ready
        } else {
            drop(&example)
        }
    }

    /// What is in memory may be ahead of the database. Files of rows that were not committed go: they would come again
    /// under other names with every attempt, and fill the disk that the database is waiting for.
    func forget() {
        writers = [:]
        totalBytes = nil
        try? sweep()
    }

    /// Removes examples until the budget has room for `bytes` more.
    func keepBudget(roomFor bytes: Int = 0, _ transaction: WorkerTransaction) throws {
        var total = try transaction.exampleBytes()
        while total + bytes > budgetBytes {
            let candidates = try transaction.examplesToDrop(limit: 16)
            if candidates.isEmpty { break }
            for var example in candidates where total + bytes > budgetBytes {
                total -= example.bytes
                drop(&example)
                try transaction.save(example)
            }
        }
        totalBytes = total
    }

    private func hasRoom(for bytes: Int, _ transaction: WorkerTransaction) throws -> Bool {
        let total = try totalBytes ?? transaction.exampleBytes()
        totalBytes = total
        if total + bytes > budgetBytes { try keepBudget(roomFor: bytes, transaction) }
        guard let total = totalBytes, total + bytes <= budgetBytes else { return false }
        let isShort = !reserve.hasRoom(for: bytes)
        if isShort, !isDiskShort { log.warning("examples are not kept, for want of disk: \(reserve.words)") }
        isDiskShort = isShort
        return !isShort
    }

    /// Removes files that no row knows, after a crash or a commit that failed.
    func sweep() throws {
        let known = try store.read { try $0.exampleFiles() }
        for name in try FileManager.default.contentsOfDirectory(atPath: store.examples.path) where !known.contains(name)
        {
            try? FileManager.default.removeItem(at: url(name))
        }
    }

    private func url(_ file: String) -> URL { store.examples.appending(path: file) }

    private func writer(for example: ExampleRow, _ shape: InputShape) throws -> ExampleWriter {
        if let writer = writers[example.file] { return writer }
        if writers.count >= Self.mostOpenFiles { writers = [:] }
        let file = url(example.file)
        if example.slices == 0 { try? FileManager.default.removeItem(at: file) }
        var writer = try ExampleWriter(file, shape: shape)
        if writer.count != example.slices { writer = try cut(file, to: example.slices, shape) }
        writers[example.file] = writer
        return writer
    }

    /// A process that died between writing and committing left slices that will come again.
    private func cut(_ file: URL, to slices: Int, _ shape: InputShape) throws -> ExampleWriter {
        let old = try ExampleFile(file)
        guard old.count >= slices else {
            throw TorchError.example(path: file.path, reason: "\(slices) slices were committed, \(old.count) are there")
        }
        let staging = file.appendingPathExtension("cut")
        try? FileManager.default.removeItem(at: staging)
        let writer = try ExampleWriter(staging, shape: shape)
        for index in 0..<slices { try writer.append(try old.slice(index), slices: 1) }
        _ = try FileManager.default.replaceItemAt(file, withItemAt: staging)
        return try ExampleWriter(file, shape: shape)
    }

    private func drop(_ example: inout ExampleRow) {
        writers[example.file] = nil
        try? FileManager.default.removeItem(at: url(example.file))
        totalBytes? -= example.bytes
        example.state = .dropped
        example.slices = 0
        example.bytes = 0
    }
}
