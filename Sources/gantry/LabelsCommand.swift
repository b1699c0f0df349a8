// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import WorkerStore

/// `gantry labels`: what the department says about studies, beside the reviews at the gateway.
struct LabelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "labels", abstract: "Labels for the studies that a worker has seen.", subcommands: [Import.self])

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import", abstract: "Take labels from a CSV file.",
            discussion: """
                The first line names the columns: StudyInstanceUID or AccessionNumber, finding, present (1/0, yes/no,
                present/absent) and, if you like, reader. The worker may be running; it trains with the new labels in
                the next round. The latest statement about a study and finding wins, history is kept.

                Example:
                  StudyInstanceUID,finding,present,reader
                  1.2.840.113619.2.5.1,intracranial-haemorrhage,yes,Dr. Example
                """)

        @Argument(help: "The CSV file.")
        var file: String

        @Option(help: "The worker's state directory (its `state` setting).")
        var state: String

        func run() throws {
            let text: String
            do {
                text = try String(contentsOf: URL(filePath: file), encoding: .utf8)
            } catch {
                throw ValidationError("\(file) cannot be read as UTF-8 text: \(error.localizedDescription)")
            }
            let sheet: LabelSheet
            do {
                sheet = try LabelSheet(text)
            } catch {
                throw ValidationError("\(file), \(error)")
            }
            let store = try WorkerStore(directory: URL(filePath: state, directoryHint: .isDirectory), create: false)
            let now = Int64(Date().timeIntervalSince1970 * 1000)
            let result = try LabelImport(sheet, into: store, at: now)
            for refusal in result.refused { print("refused, \(refusal)") }
            print("\(result.read) rows read, \(result.accepted) accepted, \(result.refused.count) refused")
            if !result.refused.isEmpty { throw ExitCode.failure }
        }
    }
}
