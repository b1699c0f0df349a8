// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Foundation
import GRDB

/// `worker.sqlite` and the folders beside it: everything a worker has to know after it was killed.
///
/// A transaction is on disk when `write` returns (WAL, synchronous FULL): acknowledge after that. Any thread may read
/// and write; writes are one at a time. Another process (`gantry labels`) may use the same file meanwhile.
public final class WorkerStore: Sendable {
    public let directory: URL
    /// Unpacked model packages, named by hash.
    public let packages: URL
    /// Preprocessed slices under random names.
    public let examples: URL
    /// Files from the hub that are not complete yet, named by hash.
    public let incoming: URL
    private let parameters: URL
    private let deltas: URL
    private let pool: DatabasePool

    /// Opens the state directory, makes what is missing and brings the schema up to date.
    ///
    /// - Parameter create: false refuses a directory in which no worker has run.
    /// - Throws: `WorkerStoreError`, also when the file was written by a newer program.
    public init(directory: URL, create: Bool = true) throws {
        self.directory = directory
        packages = directory.appending(path: "packages", directoryHint: .isDirectory)
        parameters = directory.appending(path: "parameters", directoryHint: .isDirectory)
        examples = directory.appending(path: "examples", directoryHint: .isDirectory)
        deltas = directory.appending(path: "deltas", directoryHint: .isDirectory)
        incoming = directory.appending(path: "incoming", directoryHint: .isDirectory)
        let file = directory.appending(path: "worker.sqlite")
        if !create, !FileManager.default.fileExists(atPath: file.path) {
            throw WorkerStoreError.noState(directory.path)
        }
        do {
            for folder in [directory, packages, parameters, examples, deltas, incoming] {
                try FileManager.default.createDirectory(
                    at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            }
        } catch {
            throw WorkerStoreError.cannotWrite(directory.path, error.localizedDescription)
        }
        var configuration = Configuration()
        configuration.busyMode = .timeout(20)
        configuration.foreignKeysEnabled = true
        do {
            pool = try DatabasePool(path: file.path, configuration: configuration)
            let migrator = Self.migrator
            if try pool.read(migrator.hasBeenSuperseded) { throw WorkerStoreError.newerSchema(file.path) }
            try migrator.migrate(pool)
            // GRDB chooses NORMAL for WAL; a commit that is acknowledged must survive a power cut.
            try pool.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA synchronous = FULL") }
            // A command line that looks into the state of a running worker acknowledges nothing.
            if create { try pool.write { try WorkerTransaction(db: $0).jumpReceipts() } }
        } catch let error as WorkerStoreError {
            throw error
        } catch {
            throw WorkerStoreError.unusable(file.path, "\(error)")
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
    }

    // MARK: Files named by hash

    /// Parameters of model versions.
    public func parametersFile(_ hash: String) -> URL { parameters.appending(path: "\(hash).safetensors") }
    /// Deltas on their way to the hub.
    public func deltaFile(_ hash: String) -> URL { deltas.appending(path: "\(hash).safetensors") }

    // MARK: Transactions

    /// Runs `body` in one transaction and returns when it is on disk; an error rolls all of it back.
    public func write<Value>(_ body: (WorkerTransaction) throws -> Value) throws -> Value {
        try pool.write { db in try body(WorkerTransaction(db: db)) }
    }

    /// Runs `body` on a snapshot. Does not wait for writers.
    public func read<Value>(_ body: (WorkerTransaction) throws -> Value) throws -> Value {
        try pool.read { db in try body(WorkerTransaction(db: db)) }
    }

    /// Checks the chain of the audit log; throws `AuditError` that names the first broken entry.
    public func verifyAudit() throws {
        _ = try pool.read { db in try AuditLog.verify(db) }
    }

    /// The value of SQLite's `synchronous` on the connection that writes; 2 is FULL.
    func synchronousLevel() throws -> Int? {
        try pool.writeWithoutTransaction { db in try Int.fetchOne(db, sql: "PRAGMA synchronous") }
    }
}
