// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage

/// How far an audit log goes: so many entries, the last of which has this hash. It stands for every entry up to there.
public struct AuditHead: Sendable, Equatable, Hashable {
    public let entries: Int64
    /// 64 hexadecimal digits, all zero for an empty log.
    public let hash: String

    public init(entries: Int64, hash: String) {
        self.entries = entries
        self.hash = hash
    }

    /// A line of a file of witnesses: `entries hash`, whatever follows. Nil for another line.
    public init?(line: some StringProtocol) {
        let words = line.split(separator: " ")
        guard words.count >= 2, let entries = Int64(words[0]), entries >= 0, words[1].utf8.count == 64,
            words[1].utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.init(entries: entries, hash: String(words[1]))
    }
}

extension AuditHead {
    init(_ head: AuditStatement.Head) { self.init(entries: Int64(head.entries), hash: head.hash.hex) }

    /// - Throws: `AuditError.changed` when the database holds something that is no hash.
    var statement: AuditStatement.Head {
        get throws {
            guard let hash = Hash(hex: hash) else { throw AuditError.changed(number: entries) }
            return AuditStatement.Head(entries: Int(clamping: entries), hash: hash)
        }
    }
}
