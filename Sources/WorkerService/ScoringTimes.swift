// SPDX-License-Identifier: GPL-3.0-or-later

/// How long the last forward passes of one version took.
struct ScoringTimes: Sendable {
    private struct Pass: Sendable {
        var slices: Int
        var milliseconds: Double
    }

    private var last: [Pass] = []
    private var next = 0
    private(set) var passes = 0
    private(set) var slices = 0

    mutating func add(slices: Int, milliseconds: Double) {
        passes += 1
        self.slices += slices
        if last.count < Self.kept { last.append(Pass(slices: 0, milliseconds: 0)) }
        last[next] = Pass(slices: slices, milliseconds: milliseconds)
        next = (next + 1) % Self.kept
    }

    /// Median of the last passes, in milliseconds; nil when there was none.
    var medianMilliseconds: Double? {
        last.isEmpty ? nil : last.map(\.milliseconds).sorted()[last.count / 2]
    }

    /// Mean number of slices in the last passes.
    var meanSlices: Double? {
        last.isEmpty ? nil : Double(last.reduce(0) { $0 + $1.slices }) / Double(last.count)
    }

    private static let kept = 256
}
