// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Audit
import Foundation
import GRDB

/// `gantry audit`: the record of decisions in `worker.sqlite` and `hub.sqlite`.
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check and read the record of decisions.",
        subcommands: [VerifyCommand.self, ShowCommand.self, WitnessCommand.self])

    struct Source: ParsableArguments {
        @Argument(help: ArgumentHelp("worker.sqlite or hub.sqlite; may be in use.", valueName: "file.sqlite"))
        var file: String

        func read<Value>(_ body: (Database) throws -> Value) throws -> Value { try Self.read(file, body) }

        static func read<Value>(_ file: String, _ body: (Database) throws -> Value) throws -> Value {
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
                Somebody who owns the file could cut off its end or write a whole new chain. Hub and sites therefore
                note of each other how far their logs go: --against names the other side's database, --witness a file
                that “gantry audit witness” made of it there. So does the last hash of an earlier check, with --known.
                """)

        @OptionGroup var source: Source

        @Option(help: "A last hash from an earlier check; it has to be in the chain still.")
        var known: String?

        @Option(help: "The other side's database: hub.sqlite for a worker.sqlite, worker.sqlite for a hub.sqlite.")
        var against: String?

        @Option(help: "With --against a hub.sqlite: the name of the site whose log this is.")
        var site: String?

        @Option(help: "A file that “gantry audit witness” wrote of the other side's database.")
        var witness: String?

        func run() throws {
            do {
                let witnesses = try seen()
                let summary = try source.read { try AuditLog.verify($0, knownHash: known, witnesses: witnesses) }
                print("\(source.file): \(summary.entries) entries, none changed or missing")
                if against != nil || witness != nil {
                    print("as the other side has seen it \(witnesses.count) times")
                }
                print("last hash: \(summary.lastHash)")
            } catch let error as AuditError {
                FileHandle.standardError.write(Data("\(source.file): \(error)\n".utf8))
                throw ExitCode.failure
            }
        }

        /// What the other side has noted of this log.
        private func seen() throws -> [AuditHead] {
            var heads: [AuditHead] = []
            if let against { heads += try Source.read(against) { try WitnessCommand.heads($0, site: site) } }
            if let witness {
                let lines = try String(contentsOfFile: witness, encoding: .utf8).split(whereSeparator: \.isNewline)
                for line in lines {
                    guard let head = AuditHead(line: line) else {
                        throw ValidationError("\(witness): “\(line.prefix(80))” is not a number of entries and a hash")
                    }
                    heads.append(head)
                }
            }
            if heads.isEmpty, against != nil || witness != nil {
                throw ValidationError("nothing was noted of this log there: the two have not met yet")
            }
            return heads
        }
    }

    /// `gantry audit witness`.
    struct WitnessCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "witness", abstract: "Print what this side has seen of another side's record.",
            discussion: """
                One line for each time that it went further: entries, hash. Keep it, or send it to whoever checks the
                other side: gantry audit verify FILE --witness LINES.
                """)

        @OptionGroup var source: Source

        @Option(help: "Of a hub.sqlite: which site's record.")
        var site: String?

        func run() throws {
            for head in try source.read({ try Self.heads($0, site: site) }) { print("\(head.entries) \(head.hash)") }
        }

        /// A site has seen one hub, or several one after the other, of which the last one counts; a hub names its sites.
        static func heads(_ db: Database, site: String?) throws -> [AuditHead] {
            let all = try AuditWitnesses.all(db)
            let peers = Set(all.map(\.peer))
            let hubs = all.filter { $0.peer.hasPrefix("hub ") }
            guard let peer = site ?? hubs.last?.peer ?? (peers.count == 1 ? peers.first : nil) else {
                if peers.isEmpty { return [] }
                throw ValidationError("name the site with --site: \(peers.sorted().joined(separator: ", "))")
            }
            return all.filter { $0.peer == peer }.map(\.head)
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
