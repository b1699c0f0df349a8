// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Foundation

/// `gantry bench`: how fast this machine does what the worker does.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure how fast this machine does what the worker does.",
        subcommands: [BenchDecodeCommand.self, BenchInferenceCommand.self])

    /// Processor time of this process, all threads together.
    static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
