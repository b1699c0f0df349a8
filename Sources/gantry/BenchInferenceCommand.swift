// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation
import ModelPackage
import Torch

/// `gantry bench inference`.
struct BenchInferenceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inference", abstract: "Milliseconds of one batch through a package's model.",
        discussion: """
            Scores random inputs as the worker does, in a process of its own, on the optimised copy. Prints one time for each repeat, by the clock
            and of all processors together.
            """)

    @Argument(help: "A model package.", completion: .directory)
    var package: String

    @Option(help: "Threads that libtorch uses.")
    var threads = 1

    @Option(help: "Inputs in one batch.")
    var batch = 1

    @Option(help: "Batches to time, after three that are not.")
    var repeats = 5

    func validate() throws {
        guard (1...1024).contains(threads), (1...1024).contains(batch), (1...100_000).contains(repeats) else {
            throw ValidationError("--threads, --batch and --repeats are numbers from 1.")
        }
    }

    func run() throws {
        let model = try TorchModel(package: ModelPackage(directory: URL(filePath: package)), threads: threads)
        var random = SystemRandomNumberGenerator()
        let inputs = (0..<batch * model.shape.valueCount).map { _ in Float.random(in: 0..<1, using: &random) }
        for _ in 0..<3 { _ = try model.score(inputs, count: batch) }
        var byClock: [Double] = []
        var ofProcessors: [Double] = []
        for _ in 0..<repeats {
            let begin = ContinuousClock.now
            let spent = BenchCommand.processorSeconds + model.processorSeconds
            _ = try model.score(inputs, count: batch)
            byClock.append((ContinuousClock.now - begin) / .milliseconds(1))
            ofProcessors.append((BenchCommand.processorSeconds + model.processorSeconds - spent) * 1000)
        }
        print("{\"milliseconds\": \(byClock), \"cpu_milliseconds\": \(ofProcessors)}")
    }
}
