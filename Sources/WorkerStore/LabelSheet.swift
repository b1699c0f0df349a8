// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A CSV file (RFC 4180) of labels: a first line with column names, then one label on each line.
///
/// Columns, in any order and case: `StudyInstanceUID` or `AccessionNumber` (or both; the UID counts when it is not
/// empty), `finding`, `present` (1/0, yes/no, true/false, present/absent), optionally `reader`. Others are ignored.
public struct LabelSheet: Sendable {
    public struct Entry: Sendable, Equatable {
        /// Line of the file on which the row begins, from 1.
        public var line: Int
        public var studyInstanceUID: String
        public var accessionNumber: String
        public var finding: String
        public var isPresent: Bool
        public var reader: String
    }

    /// A row that cannot be read or used.
    public struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
        public var line: Int
        public var reason: String

        public var description: String { "line \(line): \(reason)" }
    }

    public private(set) var entries: [Entry] = []
    public private(set) var refusals: [Refusal] = []

    /// - Throws: `Refusal` when the first line does not name the columns that are needed.
    public init(_ text: String) throws(Refusal) {
        var rows = Self.rows(text)
        guard !rows.isEmpty else { throw Refusal(line: 1, reason: "the file is empty") }
        let head = rows.removeFirst().fields.map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        guard let finding = head.firstIndex(of: "finding"), let present = head.firstIndex(of: "present"),
            head.contains("studyinstanceuid") || head.contains("accessionnumber")
        else {
            throw Refusal(
                line: 1,
                reason: "the first line must name the columns StudyInstanceUID or AccessionNumber, finding and present")
        }
        let study = head.firstIndex(of: "studyinstanceuid")
        let accession = head.firstIndex(of: "accessionnumber")
        let reader = head.firstIndex(of: "reader")
        for row in rows {
            if row.fields == [""] { continue }
            func field(_ index: Int?) -> String {
                guard let index, row.fields.indices.contains(index) else { return "" }
                return row.fields[index].trimmingCharacters(in: .whitespaces)
            }
            guard row.fields.count <= head.count, row.isClosed else {
                let reason =
                    row.isClosed ? "\(row.fields.count) fields for \(head.count) columns" : "a quote is not closed"
                refusals.append(Refusal(line: row.line, reason: reason))
                continue
            }
            guard let isPresent = Self.presence(field(present)) else {
                refusals.append(
                    Refusal(
                        line: row.line,
                        reason: "present is “\(field(present).prefix(32))”; use 1 or 0, yes or no, present or absent"))
                continue
            }
            if field(study).isEmpty, field(accession).isEmpty {
                refusals.append(
                    Refusal(line: row.line, reason: "neither StudyInstanceUID nor AccessionNumber is given"))
                continue
            }
            entries.append(
                Entry(
                    line: row.line, studyInstanceUID: field(study), accessionNumber: field(accession),
                    finding: field(finding), isPresent: isPresent, reader: field(reader)))
        }
    }

    private static func presence(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "1", "yes", "true", "present": true
        case "0", "no", "false", "absent": false
        default: nil
        }
    }

    private struct CSVRow {
        var line: Int
        var fields: [String] = []
        var isClosed = true
    }

    private static func rows(_ text: String) -> [CSVRow] {
        var rows: [CSVRow] = []
        var row = CSVRow(line: 1)
        var field = ""
        var line = 1
        var isQuoted = false
        var characters = text.unicodeScalars.drop(while: { $0 == "\u{FEFF}" })
        while let character = characters.popFirst() {
            if character == "\n" { line += 1 }
            if isQuoted {
                if character != "\"" {
                    field.unicodeScalars.append(character)
                } else if characters.first == "\"" {
                    field.unicodeScalars.append(characters.removeFirst())
                } else {
                    isQuoted = false
                }
                continue
            }
            switch character {
            case "\"": isQuoted = true
            case ",":
                row.fields.append(field)
                field = ""
            case "\r" where characters.first == "\n": break
            case "\n":
                rows.append(CSVRow(line: row.line, fields: row.fields + [field]))
                row = CSVRow(line: line)
                field = ""
            default: field.unicodeScalars.append(character)
            }
        }
        if !field.isEmpty || !row.fields.isEmpty || isQuoted {
            rows.append(CSVRow(line: row.line, fields: row.fields + [field], isClosed: !isQuoted))
        }
        return rows
    }
}
