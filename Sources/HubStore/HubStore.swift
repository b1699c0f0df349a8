// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import Foundation
import GRDB
import ModelPackage
import Rounds

/// The hub's state: `hub.sqlite` and the files beside it. The row is the truth, files are named by it.
///
///     hub.sqlite          sites, models, versions, rounds, deltas, reports, refusals, audit log
///     hub.key, hub.pub    the hub's CURVE keys
///     blobs/HASH          package files and parameters, what sites may fetch
///     uploads/ROUND-SITE  a delta that is coming in; the row says how many of its bytes count
///     deltas/HASH         committed deltas of rounds that are not over; deleted with the end of the round
///     work/               what is being computed
///
/// Thread-safe. Every write is on disk when the call returns (WAL with `synchronous = FULL`), so a caller may
/// acknowledge afterwards. Several processes may have it open: the command line beside a running hub. Deltas are
/// received by one thread of one process only, the one that holds `HubLock`.
public final class HubStore: Sendable {
    public let directory: URL
    let pool: DatabasePool
    /// What sites may fetch.
    public let blobs: BlobFolder
    /// Committed deltas.
    public let deltas: BlobFolder
    let uploads: URL
    /// For files that the running hub is computing; empty after a start.
    public let work: URL

    /// Opens the state in `directory` and brings its schema up to date.
    ///
    /// - Throws: `HubStoreError.notInitialised` when there is none, `HubStoreError.newerSchema` when a newer release
    ///   has been here, else what SQLite says.
    public convenience init(directory: URL) throws {
        guard FileManager.default.fileExists(atPath: Self.database(in: directory).path) else {
            throw HubStoreError.notInitialised(directory.path)
        }
        try self.init(existingOrNew: directory)
    }

    /// Makes the state in `directory`.
    ///
    /// - Throws: `HubStoreError.initialised` when there is one.
    public static func create(in directory: URL) throws -> HubStore {
        guard !FileManager.default.fileExists(atPath: database(in: directory).path) else {
            throw HubStoreError.initialised(directory.path)
        }
        return try HubStore(existingOrNew: directory)
    }

    private init(existingOrNew directory: URL) throws {
        self.directory = directory
        let files = FileManager.default
        try files.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        blobs = try BlobFolder(directory.appending(path: "blobs"))
        deltas = try BlobFolder(directory.appending(path: "deltas"))
        uploads = directory.appending(path: "uploads")
        work = directory.appending(path: "work")
        for folder in [uploads, work] {
            try files.createDirectory(
                at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.label = "hub"
        pool = try DatabasePool(path: Self.database(in: directory).path, configuration: configuration)
        try HubSchema.migrate(pool)
        // GRDB chooses NORMAL for WAL when it opens; an acknowledged delta must survive a power cut.
        try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    }

    private static func database(in directory: URL) -> URL { directory.appending(path: "hub.sqlite") }

    /// The path of `hub.sqlite`.
    public var databaseFile: URL { Self.database(in: directory) }

    // MARK: Settings

    /// The operator's setting under `key`; nil when it was never set.
    public func setting<Value: Decodable>(_ key: String, as type: Value.Type) throws -> Value? {
        let text = try pool.read { db in
            try String.fetchOne(db, sql: "SELECT value FROM setting WHERE key = ?", arguments: [key])
        }
        return try text.map { try JSONDecoder().decode(type, from: Data($0.utf8)) }
    }

    public func set<Value: Encodable>(_ value: Value, for key: String) throws {
        let text = try Self.json(value)
        try pool.write { db in
            try db.execute(
                sql:
                    "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                arguments: [key, text])
        }
    }

    // MARK: Audit

    /// See `AuditLog.append`.
    public func audit(_ event: String, _ detail: [String: String], atMilliseconds: Int64) throws {
        _ = try pool.write { db in
            try AuditLog.append(db, event: event, detail: detail, atMilliseconds: atMilliseconds)
        }
    }

    public func newestAuditEntries(limit: Int) throws -> [AuditEntry] {
        try pool.read { try AuditLog.newest($0, limit: limit) }
    }

    /// See `AuditLog.verify`.
    @discardableResult
    public func verifyAudit() throws -> AuditSummary {
        try pool.read { try AuditLog.verify($0) }
    }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
