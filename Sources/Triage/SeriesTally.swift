// SPDX-License-Identifier: GPL-3.0-or-later

/// How much of one series has come, and how much there should be.
public struct SeriesTally: Sendable, Equatable {
    private struct Count: Sendable, Equatable {
        var seen = 0
        var expected: Int?

        var isReached: Bool { seen == expected }

        mutating func add(_ instances: Int, expected: Int?) {
            seen += instances
            if let expected { self.expected = max(self.expected ?? 0, expected) }
        }
    }

    private var whole = Count()
    private var acquisitions: [Int: Count] = [:]
    /// Acquisitions that are not exactly full.
    private var openAcquisitions = 0
    /// Instances that do not say how many their acquisition has.
    private var uncounted = 0

    public init() {}

    mutating func add(_ instances: Int, _ expected: ExpectedCounts) {
        whole.add(instances, expected: expected.series)
        guard let count = expected.acquisition else {
            uncounted += instances
            return
        }
        // A sender that does not number its acquisitions has one.
        let number = expected.acquisitionNumber ?? 0
        var acquisition = acquisitions[number] ?? Count()
        if acquisition.seen > 0, !acquisition.isReached { openAcquisitions -= 1 }
        acquisition.add(instances, expected: count)
        if !acquisition.isReached { openAcquisitions += 1 }
        acquisitions[number] = acquisition
    }

    /// Exactly as many came as the series has. One more and its count is proven wrong, and says nothing any more.
    var isFullBySeries: Bool { whole.isReached }

    /// Every acquisition that was begun is exactly full.
    var isFullByAcquisitions: Bool { uncounted == 0 && openAcquisitions == 0 && !acquisitions.isEmpty }

    var isFull: Bool { isFullBySeries || isFullByAcquisitions }
}
