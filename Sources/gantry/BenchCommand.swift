// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser

/// `gantry bench`: how fast this machine does what the worker does.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure how fast this machine does what the worker does.",
        subcommands: [BenchDecodeCommand.self, BenchInferenceCommand.self])
}
