// SPDX-License-Identifier: GPL-3.0-or-later
import Audit
import Federation
import Foundation
import GRDB
import ModelPackage
import Tensors

extension HubStore {
    /// Takes a model package in: copies its files and makes its parameters version 0.
    ///
    /// - Returns: false when exactly this package was here already.
    @discardableResult
    public func addModel(_ package: ModelPackage, atMilliseconds now: Int64) throws -> Bool {
        guard let version = package.version,
            let parameters = package.files.first(where: { $0.path == ModelPackage.parametersPath })
        else { throw HubStoreError.noParameters(path: ModelPackage.parametersPath) }
        try Self.check(parametersFile: package.parametersFile)
        let (manifest, hash) = (package.manifest, package.hash)
        // Files first: a row never names a file that is not there. A crash in between leaves files without rows.
        for file in package.files { try blobs.copy(package.directory.appending(path: file.path), as: file.hash) }
        return try pool.write { db in
            if let known = try String.fetchOne(
                db, sql: "SELECT package FROM model WHERE name = ? OR package = ?",
                arguments: [manifest.name, hash.hex])
            {
                if known == hash.hex { return false }
                throw HubStoreError.modelExists(name: manifest.name, package: String(known.prefix(12)))
            }
            try db.execute(
                sql: "INSERT INTO model (package, name, manifest, added_at_ms, current_version) VALUES (?, ?, ?, ?, ?)",
                arguments: [hash.hex, manifest.name, try Self.json(manifest), now, version.id.hex])
            for file in package.files {
                try db.execute(
                    sql: "INSERT INTO package_file (package, path, hash, bytes) VALUES (?, ?, ?, ?)",
                    arguments: [hash.hex, file.path, file.hash.hex, file.bytes])
            }
            try db.execute(
                sql: """
                    INSERT INTO version (id, package, number, parameters, parameters_bytes, created_at_ms)
                    VALUES (?, ?, 0, ?, ?, ?)
                    """, arguments: [version.id.hex, hash.hex, parameters.hash.hex, parameters.bytes, now])
            try AuditLog.append(
                db, event: "model-added",
                detail: ["model": manifest.name, "package": hash.hex, "version": version.id.hex],
                atMilliseconds: now)
            return true
        }
    }

    private static func check(parametersFile url: URL) throws {
        do {
            let file = try SafetensorsFile(url)
            guard !file.names.isEmpty else {
                throw HubStoreError.badParameters(path: ModelPackage.parametersPath, reason: "it holds no tensor")
            }
            if let fault = try file.firstNonFinite() {
                throw HubStoreError.badParameters(path: ModelPackage.parametersPath, reason: "\(fault)")
            }
        } catch let error as SafetensorsError {
            throw HubStoreError.badParameters(path: ModelPackage.parametersPath, reason: "\(error)")
        }
    }

    /// All models by name.
    public func models() throws -> [Model] {
        try pool.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM model ORDER BY name").map { try Self.model(db, $0) }
        }
    }

    /// The model of a package.
    public func model(package: Hash) throws -> Model? {
        try pool.read { try Self.model($0, package: package) }
    }

    static func model(_ db: Database, package: Hash) throws -> Model? {
        try Row.fetchOne(db, sql: "SELECT * FROM model WHERE package = ?", arguments: [package.hex])
            .map { try model(db, $0) }
    }

    private static func model(_ db: Database, _ row: Row) throws -> Model {
        let package: Hash = try row.hash("package")
        let files = try Row.fetchAll(
            db, sql: "SELECT * FROM package_file WHERE package = ? ORDER BY path", arguments: [package.hex]
        ).map { HubState.File(path: $0["path"], hash: try $0.hash("hash"), bytes: $0["bytes"]) }
        guard
            let current = try Row.fetchOne(
                db, sql: "SELECT * FROM version WHERE id = ?", arguments: [row["current_version"] as String])
        else { throw DatabaseError(message: "model \(package.short) has no current version") }
        return Model(
            name: row["name"], package: package,
            manifest: try JSONDecoder().decode(Manifest.self, from: Data((row["manifest"] as String).utf8)),
            addedAtMilliseconds: row["added_at_ms"], files: files, current: try version(current))
    }

    /// A model's versions, oldest first.
    public func versions(package: Hash) throws -> [Version] {
        try pool.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM version WHERE package = ? ORDER BY number", arguments: [package.hex]
            ).map(Self.version)
        }
    }

    static func version(_ row: Row) throws -> Version {
        Version(
            version: ModelVersion(package: try row.hash("package"), parameters: try row.hash("parameters")),
            number: row["number"], parametersBytes: row["parameters_bytes"],
            parent: (row["parent"] as String?).flatMap(Hash.init(hex:)), round: row["round"],
            createdAtMilliseconds: row["created_at_ms"])
    }

    /// Size of a file that sites may fetch; nil for every other file.
    public func fetchableBytes(_ hash: Hash) throws -> Int? {
        try pool.read { db in
            try Int.fetchOne(
                db,
                sql: """
                    SELECT bytes FROM package_file WHERE hash = :hash
                    UNION SELECT parameters_bytes FROM version WHERE parameters = :hash LIMIT 1
                    """, arguments: ["hash": hash.hex])
        }
    }
}

extension Row {
    /// - Throws: `DatabaseError` when the column does not hold a hash.
    func hash(_ column: String) throws -> Hash {
        guard let hash = (self[column] as String?).flatMap(Hash.init(hex:)) else {
            throw DatabaseError(message: "the column \(column) does not hold a SHA-256")
        }
        return hash
    }
}
