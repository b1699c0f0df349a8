// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import Statements
import WorkerStore

/// `gantry labels`: what the department says about studies, beside the reviews at the gateway.
struct LabelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "labels", abstract: "Labels for the studies that a worker has seen.", subcommands: [Import.self])

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import", abstract: "Take labels from a CSV file, or from FHIR R4 resources.",
            discussion: """
                A CSV file (.csv): the first line names the columns: StudyInstanceUID or AccessionNumber, finding, present
                (1/0, yes/no, present/absent) and, if you like, reader.

                Example:
                  StudyInstanceUID,finding,present,reader
                  1.2.840.113619.2.5.1,intracranial-haemorrhage,yes,Dr. Example

                FHIR: a Bundle, DiagnosticReport or Observation (.json), one resource a line (.ndjson), or a directory of
                such files. The study is known by its ImagingStudy (identifier urn:dicom:uid) or by an accession number
                (identifier of type ACSN). Findings are known by the codes in the model packages and by --codes, in
                Observation.code and value, or DiagnosticReport.conclusionCode. Resources that are final, amended or corrected
                count; those entered in error or cancelled take back what they said.

                The worker may be running; its flags tell at once what was said, and it trains with it in the next round. The
                latest authoritative statement about a study and finding wins, history is kept.
                """)

        @Argument(help: "The file or directory.")
        var file: String

        @Option(help: "The worker's state directory (its `state` setting).")
        var state: String

        @Option(help: "A code map, as the worker's setting `label_codes` names one; for FHIR.")
        var codes: String?

        func run() throws {
            let store = try WorkerStore(directory: URL(filePath: state, directoryHint: .isDirectory), create: false)
            let now = Int64(Date().timeIntervalSince1970 * 1000)
            let url = URL(filePath: file)
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
                throw ValidationError("\(file) is not there")
            }
            if isFolder.boolValue {
                try importFHIR(try Self.files(in: url), into: store, at: now)
            } else if ["json", "ndjson"].contains(url.pathExtension.lowercased()) {
                try importFHIR([(url, file)], into: store, at: now)
            } else {
                try importSheet(url, into: store, at: now)
            }
        }

        private func importSheet(_ url: URL, into store: WorkerStore, at now: Int64) throws {
            let text: String
            do {
                text = try String(contentsOf: url, encoding: .utf8)
            } catch {
                throw ValidationError("\(file) cannot be read as UTF-8 text: \(error.localizedDescription)")
            }
            let sheet: LabelSheet
            do {
                sheet = try LabelSheet(text)
            } catch {
                throw ValidationError("\(file), \(error)")
            }
            let result = try LabelImport(sheet, into: store, at: now)
            for refusal in result.refused { print("refused, \(refusal)") }
            print("\(result.read) rows read, \(result.accepted) accepted, \(result.refused.count) refused")
            if !result.refused.isEmpty { throw ExitCode.failure }
        }

        private func importFHIR(_ files: [(url: URL, name: String)], into store: WorkerStore, at now: Int64) throws {
            let map = try codes.map { try CodeMap(file: URL(filePath: $0)) } ?? .standard
            let result = try FHIRImport(into: store, codes: map, at: now) { reading in
                for (url, name) in files {
                    do {
                        reading.add(try Data(contentsOf: url, options: .mappedIfSafe), file: name)
                    } catch {
                        throw ValidationError("\(name) cannot be read: \(error.localizedDescription)")
                    }
                }
            }
            for refusal in result.refused { print("refused, \(refusal)") }
            print(
                "\(result.read) reports and observations read, \(result.accepted) accepted, "
                    + "\(result.withdrawn) withdrawn, \(result.unfinished) not final yet, "
                    + "\(result.unrelated) about something else, \(result.refused.count) refused")
            if !result.refused.isEmpty { throw ExitCode.failure }
        }

        /// FHIR files of a directory and its subdirectories, in the order of their names.
        private static func files(in folder: URL) throws -> [(url: URL, name: String)] {
            let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
            let files = names.filter { $0.lowercased().hasSuffix(".json") || $0.lowercased().hasSuffix(".ndjson") }
            guard !files.isEmpty else {
                throw ValidationError("\(folder.path) holds no .json or .ndjson file")
            }
            return files.map { (folder.appending(path: $0), $0) }
        }
    }
}
