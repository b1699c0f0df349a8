// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Logging
import Testing
import Torch
import Triage
import WorkerStore

@testable import WorkerService

@Suite struct ExampleShelfTests {
    private let folder: TemporaryFolder
    private let store: WorkerStore
    private let live = version("one")
    private let shape = InputShape(channels: 1, height: 8, width: 8)
    /// Two bytes for each value.
    private let sliceBytes = 128

    init() throws {
        folder = try TemporaryFolder()
        store = try WorkerStore(directory: folder.url)
        try store.addModel(manifest(), live)
    }

    private func shelf(budgetBytes: Int) -> ExampleShelf {
        ExampleShelf(
            store: store, budgetBytes: budgetBytes, reserve: DiskReserve(folder: store.examples, megabytes: 0),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// A study that is still arriving gets one more slice.
    private func append(to study: String, on shelf: ExampleShelf) throws -> ExampleRow {
        let key = StudyKey(stringLiteral: study)
        return try store.write { transaction in
            if try transaction.study(key) == nil {
                try transaction.save(
                    StudyRow(
                        header: StudyHeader(studyInstanceUID: study), gateway: "g", gatewayInstance: "i", isOpen: true,
                        isHeldOut: false, expectedInstances: nil, arrivedAt: 1, lastInstanceAt: 1))
            }
            var example =
                try transaction.example(key, package: live.package.hex)
                ?? ExampleRow(study: key, package: live.package.hex, file: "\(study).safetensors", createdAt: 2)
            shelf.append(
                [.init(values: [Float](repeating: 1, count: 64), count: 1)], to: &example, shape: shape, transaction)
            try transaction.save(example)
            return example
        }
    }

    private var files: Set<String> {
        get throws { Set(try FileManager.default.contentsOfDirectory(atPath: store.examples.path)) }
    }

    @Test func `Studies that are still arriving stay within the budget together`() throws {
        let shelf = shelf(budgetBytes: 2 * sliceBytes)
        #expect(try append(to: "1.1", on: shelf).state == .growing)
        #expect(try append(to: "1.1", on: shelf).slices == 2)
        #expect(try append(to: "1.2", on: shelf).state == .dropped)
        #expect(try files == ["1.1.safetensors"])
    }

    @Test func `A finished example without a label makes room for one that grows`() throws {
        try store.addStudy("1.1", package: live.package, bytes: 2 * sliceBytes)
        let shelf = shelf(budgetBytes: 2 * sliceBytes)
        #expect(try append(to: "1.2", on: shelf).state == .growing)
        #expect(try store.read { try $0.examples("1.1").map(\.state) } == [.dropped])
    }

    @Test func `After a commit that failed the files that no row knows are gone`() throws {
        let shelf = shelf(budgetBytes: 10 * sliceBytes)
        _ = try append(to: "1.1", on: shelf)
        struct Full: Error {}
        #expect(throws: Full.self) {
            try store.write { transaction in
                var example = ExampleRow(study: "1.2", package: live.package.hex, file: "lost", createdAt: 2)
                shelf.append(
                    [.init(values: [Float](repeating: 1, count: 64), count: 1)], to: &example, shape: shape, transaction
                )
                throw Full()
            }
        }
        #expect(try files == ["1.1.safetensors", "lost"])
        shelf.forget()
        #expect(try files == ["1.1.safetensors"])
    }
}
