// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import Torch

extension ModelCommand {
    /// `gantry model check`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try a package: load it, run it, train one step; exits with 1 when something is wrong.",
            discussion: """
                Does on made-up input what the worker will do: reads the manifest, loads the TorchScript, compares the
                parameters file, scores zeros and noise alone and in a batch, and trains one step. Each line says what was
                seen, or what is wrong and how to mend it.
                """)

        @OptionGroup var source: Source

        @Option(
            help: ArgumentHelp(
                """
                Also compare with scores that are known, such as PyTorch's own: a safetensors file with “inputs” (inputs × \
                channels × height × width, preprocessed) and “scores” (inputs × findings, probabilities).
                """, valueName: "file"),
            completion: .file(extensions: ["safetensors"]))
        var scores: String?

        func run() throws {
            let package = source.package
            var steps: [ModelCheck.Step] = []
            do {
                steps = try source.open { package in
                    Self.show("manifest", passed: true, "\(package.manifest.name), \(package.hash.short)", nil)
                    return ModelCheck.run(package, scores: scores.map { URL(filePath: $0) }) {
                        Self.show($0.name, passed: $0.passed, $0.text, $0.fix)
                    }
                }
            } catch let error as ModelPackageError {
                let place = [error.file, error.key].compactMap(\.self).joined(separator: ": ")
                Self.show("manifest", passed: false, "\(place): \(error.problem)", error.fix)
                throw ExitCode.failure
            }
            let failed = steps.count { !$0.passed }
            if failed > 0 {
                print("\(package) is not ready: \(failed) of the steps above failed")
                throw ExitCode.failure
            }
            print("\(package) is ready")
        }

        private static func show(_ name: String, passed: Bool, _ text: String, _ fix: String?) {
            let padded = name.padding(toLength: 12, withPad: " ", startingAt: 0)
            print("\(passed ? "ok    " : "FAILED")  \(padded)\(text)")
            if let fix { print("        \(String(repeating: " ", count: 12))→ \(fix)") }
        }
    }
}
