// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import Phantoms

/// `gantry phantom`.
struct PhantomCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "phantom", abstract: "Make synthetic DICOM studies whose truth is known.",
        discussion: """
            For demos, tests and a first look at a new site: computed pictures of computed anatomy, marked as such in
            PatientName, PatientID, ImageType, DerivationDescription and the quality control attributes. The same seed
            gives the same studies. truth.csv beside them says what is in each.
            """,
        subcommands: [HeadCT.self, Chest.self])

    /// What both kinds of phantom are asked for.
    struct Options: ParsableArguments {
        @Option(help: "The folder to write: <out>/<study>/0001.dcm …, <out>/truth.csv.", completion: .directory)
        var out: String

        @Option(help: "How many studies.")
        var studies = 20

        @Option(help: "Draws anatomy, findings and UIDs: the same seed gives the same studies.")
        var seed: UInt64 = 1

        @Option(help: "The number of the first study; a later run continues where an earlier one ended.")
        var first = 1

        @Option(help: "The site's scanners: noise, sharpness, tilt, offset, stored form.")
        var look = PhantomLook.a

        @Option(help: "Share of studies with the finding, 0 to 1.")
        var prevalence = 0.5

        @Option(help: "How pixels are written.")
        var transferSyntax = PhantomTransferSyntax.explicitLittleEndian

        @Flag(help: "Also write preview.pgm, a small picture of the most telling instance, into each study's folder.")
        var preview = false

        @Flag(help: "Say each study as it is written.")
        var progress = false

        func validate() throws {
            guard (1...9999).contains(studies), (1...9999).contains(first), first + studies <= 10_000 else {
                throw ValidationError("--studies and --first number the studies 1 to 9999.")
            }
            guard (0...1).contains(prevalence) else { throw ValidationError("--prevalence is a share from 0 to 1.") }
        }

        /// Writes the studies that `make` gives for index and presence.
        func write(_ make: (_ index: Int, _ isPositive: Bool) throws -> PhantomStudy) throws {
            let folder = try PhantomFolder(URL(filePath: out))
            let start = ContinuousClock.now
            var instances = 0
            var bytes = 0
            let positives = PhantomStudy.positives(
                count: studies, prevalence: prevalence, seed: seed &+ UInt64(first - 1))
            for index in first..<first + studies {
                let study = try make(index, positives[index - first])
                bytes += try folder.write(study, transferSyntax: transferSyntax)
                if preview { try folder.writePreview(study) }
                instances += study.instances
                if progress { say(study, index - first + 1) }
            }
            let seconds = max((ContinuousClock.now - start) / .seconds(1), 0.001)
            let positive = positives.count { $0 }
            print(
                """
                \(studies) studies, \(positive) with the finding, \(instances) instances, \
                \(bytes / 1_000_000) MB in \(String(format: "%.1f", seconds)) s → \(out)
                Truth: \(folder.truthURL.path)
                Next: send them to a gateway, for example  storescu +sd +r localhost 4242 \(out)
                """)
        }

        private func say(_ study: PhantomStudy, _ number: Int) {
            let truth = study.truth
            let found =
                truth.isPresent ? String(format: "%@, %.0f ml", truth.finding, truth.volumeMillilitres) : "nothing"
            print("\(number)/\(studies)  \(study.folder)  \(truth.instances) instances  \(found)")
        }
    }

    /// `gantry phantom head-ct`.
    struct HeadCT: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "head-ct", abstract: "Head CT series, with or without an intracranial haemorrhage.",
            discussion: "Example:  gantry phantom head-ct --out studies --studies 20 --seed 1 --look a --progress")

        @OptionGroup var options: Options

        @Option(help: "Slices of each series, usually 20 to 40; the look's own unless given.")
        var slices: Int?

        func validate() throws {
            if let slices, !(4...400).contains(slices) { throw ValidationError("--slices is a number from 4 to 400.") }
        }

        func run() throws {
            try options.write { index, isPositive in
                try PhantomStudy.headCT(
                    seed: options.seed, index: index, look: options.look, isPositive: isPositive, slices: slices)
            }
        }
    }

    /// `gantry phantom chest`.
    struct Chest: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "chest", abstract: "Frontal chest radiographs, with or without a pneumonia.",
            discussion: "Example:  gantry phantom chest --out studies --studies 20 --seed 1 --look c --progress")

        @OptionGroup var options: Options

        func run() throws {
            try options.write { index, isPositive in
                try PhantomStudy.chest(seed: options.seed, index: index, look: options.look, isPositive: isPositive)
            }
        }
    }
}

extension PhantomLook: ExpressibleByArgument {}
extension PhantomTransferSyntax: ExpressibleByArgument {}
