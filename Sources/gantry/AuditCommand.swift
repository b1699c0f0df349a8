// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Audit
import Foundation
import GRDB

/// `gantry audit`: the record of decisions in `worker.sqlite` and `hub.sqlite`.
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check and read the record of decisions.",
        subcommands: [VerifyCommand.self, ShowCommand.self])

    struct Source: ParsableArguments {
        @Argument(help: ArgumentHelp("worker.sqlite or hub.sqlite; may be in use.", valueName: "file.sqlite"))
        var file: String

        func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
            guard FileManager.default.fileExists(atPath: file) else { throw ValidationError("\(file) does not exist") }
            var configuration = Configuration()
            configuration.readonly = true
            do {
                return try DatabaseQueue(path: file, configuration: configuration).read(body)
            } catch let error as DatabaseError {
                throw ValidationError("\(file) cannot be read as a database: \(error.message ?? "no reason given")")
            }
        }
    }

    /// `gantry audit verify`.
    struct VerifyCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Check that no entry was changed, removed or slipped in.",
            discussion: """
                Walks the hash chain and names the first entry that is not what was written; exits with 1 then.
                Somebody who owns the file could cut off its end or write a whole new chain. To notice that as well,
                note the last hash that is printed somewhere else and give it to the next check with --known.
                """)

        @OptionGroup var source: Source

        @Option(help: "A last hash from an earlier check; it has to be in the chain still.")
        var known: String?

        func run() throws {
            do {
                let summary = try source.read { try AuditLog.verify($0, knownHash: known) }
                print("\(source.file): \(summary.entries) entries, none changed or missing")
                print("last hash: \(summary.lastHash)")
            } catch let error as AuditError {
                FileHandle.standardError.write(Data("\(source.file): \(error)\n".utf8))
                throw ExitCode.failure
            }
        }
    }

    /// `gantry audit show`.
    struct ShowCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Print the newest entries.")

        @OptionGroup var source: Source

        @Option(help: "How many entries.")
        var last = 20

        func run() throws {
            for entry in try source.read({ try AuditLog.newest($0, limit: max(1, last)) }).reversed() {
                let time = Date(timeIntervalSince1970: Double(entry.atMilliseconds) / 1000).formatted(.iso8601)
                let detail = entry.detail.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                print(([String(entry.number), time, entry.event] + detail).joined(separator: "  "))
            }
        }
    }
}
