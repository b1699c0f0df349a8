// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Foundation
import GRDB
import Synchronization

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
    /// The damaged database that was set aside at this opening.
    public let setAside: SetAside?
    private let file: URL
    private let pool: DatabasePool
    private let damage = Mutex<String?>(nil)
    private let onDamage = Mutex<@Sendable () -> Void>({})

    /// Opens the state directory, makes what is missing and brings the schema up to date.
    ///
    /// A database that is damaged is set aside under a new name and a fresh one is begun: gateways then hand over
    /// again what is not finished.
    ///
    /// - Parameter create: false refuses a directory in which no worker has run, and sets nothing aside.
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
        self.file = file
        guard create else {
            pool = try Self.open(file, create: false)
            setAside = nil
            return
        }
        var aside = try Self.setAsideAsNoted(file)
        do {
            pool = try Self.open(file, create: true)
        } catch WorkerStoreError.damaged(_, let reason) {
            aside = try Self.setAside(file, reason: reason)
            pool = try Self.open(file, create: true)
        }
        setAside = aside
        if let aside { try write { try $0.note(aside) } }
    }

    private static func open(_ file: URL, create: Bool) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(20)
        configuration.foreignKeysEnabled = true
        let existed = FileManager.default.fileExists(atPath: file.path)
        do {
            let commitsInFile = create && existed ? commitsInFile(file) : nil
            let pool = try DatabasePool(path: file.path, configuration: configuration)
            if try pool.read(migrator.hasBeenSuperseded) { throw WorkerStoreError.newerSchema(file.path) }
            try migrator.migrate(pool)
            // GRDB chooses NORMAL for WAL; a commit that is acknowledged must survive a power cut.
            try pool.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA synchronous = FULL") }
            // A command line that looks into the state of a running worker acknowledges nothing.
            if create {
                try pool.read { try inspect($0, commitsInFile: commitsInFile) }
                try pool.write { try WorkerTransaction(db: $0).jumpReceipts() }
            }
            // On a disk that may not be written it has its permissions already.
            try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            return pool
        } catch let error as DatabaseError where error.isDamage {
            throw create
                ? WorkerStoreError.damaged(file.path, "\(error)") : WorkerStoreError.unusable(file.path, "\(error)")
        } catch let error as DatabaseError where existed && error.isPassing || error.resultCode == .SQLITE_FULL {
            throw WorkerStoreError.unavailable(file.path, "\(error)")
        } catch let error as WorkerStoreError {
            throw error
        } catch {
            throw WorkerStoreError.unusable(file.path, "\(error)")
        }
    }

    // MARK: Files named by hash

    /// Parameters of model versions.
    public func parametersFile(_ hash: String) -> URL { parameters.appending(path: "\(hash).safetensors") }
    /// Deltas on their way to the hub.
    public func deltaFile(_ hash: String) -> URL { deltas.appending(path: "\(hash).safetensors") }

    // MARK: Transactions

    /// Runs `body` in one transaction and returns when it is on disk; an error rolls all of it back.
    public func write<Value>(_ body: (WorkerTransaction) throws -> Value) throws -> Value {
        try noticingDamage {
            try pool.write { db in
                let value = try body(WorkerTransaction(db: db))
                try db.execute(sql: "UPDATE receipt_book SET commits = commits + 1")
                return value
            }
        }
    }

    /// Runs `body` on a snapshot. Does not wait for writers.
    public func read<Value>(_ body: (WorkerTransaction) throws -> Value) throws -> Value {
        try noticingDamage { try pool.read { db in try body(WorkerTransaction(db: db)) } }
    }

    // MARK: Damage

    /// Whether the database was set aside. Everything throws from then on; open the state directory again.
    public var isDamaged: Bool { damage.withLock { $0 != nil } }

    /// - Parameter body: called once, on the thread that met the damage.
    public func whenDamaged(_ body: @escaping @Sendable () -> Void) {
        onDamage.withLock { $0 = body }
    }

    private func noticingDamage<Value>(_ body: () throws -> Value) throws -> Value {
        if let reason = damage.withLock({ $0 }) { throw WorkerStoreError.damaged(file.path, reason) }
        do {
            return try body()
        } catch let error as DatabaseError where error.isDamage {
            let isFirst = damage.withLock { damage in
                defer { damage = damage ?? "\(error)" }
                return damage == nil
            }
            // The connections go on with the file under its new name; nobody believes them any more.
            if isFirst {
                Self.noteDamage(of: file, reason: "\(error)")
                onDamage.withLock { $0 }()
            }
            throw WorkerStoreError.damaged(file.path, "\(error)")
        }
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
