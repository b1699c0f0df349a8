// SPDX-License-Identifier: GPL-3.0-or-later

/// When a study has arrived completely, by the best evidence there is.
///
/// A count for the whole study or the host's word ends the waiting at once. That every series that was begun is full does
/// not: the next series may still be in the making (a head CT begins with a localizer of two images), so it only shortens
/// the quiet period. A count is a promise of somebody else's software: one that is too high gives way to the quiet period,
/// and one that is proven too low by one more instance says nothing any more. Either way a late instance revises the flag.
public struct Completeness: Sendable, Equatable {
    /// How long nothing must come, in milliseconds.
    public struct QuietPeriod: Sendable, Equatable {
        public var milliseconds: Int64
        /// The same while every series that was begun is full by its own counts.
        public var countedMilliseconds: Int64

        public init(milliseconds: Int64, countedMilliseconds: Int64? = nil) {
            self.milliseconds = milliseconds
            self.countedMilliseconds = min(milliseconds, countedMilliseconds ?? milliseconds)
        }
    }

    /// Instances that came and say the same about their number.
    public struct Group: Sendable, Equatable {
        /// SeriesInstanceUID; empty when the instances do not say.
        public var series: String
        public var expected: ExpectedCounts
        public var instances: Int

        public init(series: String = "", expected: ExpectedCounts = ExpectedCounts(), instances: Int = 1) {
            self.series = series
            self.expected = expected
            self.instances = instances
        }
    }

    /// The highest value seen.
    public private(set) var expectedInstances: Int?
    public private(set) var instances = 0
    private var documents = 0
    /// Place of the last new instance on the gateway's stream, in milliseconds (`ArrivalClock`).
    public private(set) var lastPosition: Int64
    private var hostSaidComplete = false
    private var series: [String: SeriesTally] = [:]
    private var openSeries: Set<String> = []
    private let quiet: QuietPeriod

    /// - Parameters:
    ///   - groups: what is known already, for a study that is opened again.
    ///   - expectedInstances: what the study was known to say about its own number.
    ///   - position: where the quiet period starts.
    public init(quiet: QuietPeriod, groups: [Group] = [], expectedInstances: Int? = nil, position: Int64) {
        self.quiet = quiet
        self.expectedInstances = expectedInstances
        lastPosition = position
        for group in groups { count(group) }
    }

    /// A new instance of the study is worked off. Repeats are not counted here.
    public mutating func add(_ instance: Group, position: Int64) {
        count(instance)
        touch(position: position)
    }

    /// An instance that is counted already came again, to be worked off anew: the quiet period starts again.
    public mutating func touch(position: Int64) {
        lastPosition = max(lastPosition, position)
        hostSaidComplete = false
    }

    private mutating func count(_ group: Group) {
        instances += group.instances
        if let study = group.expected.study { expectedInstances = max(expectedInstances ?? 0, study) }
        series[group.series, default: SeriesTally()].add(group.instances, group.expected)
        if series[group.series]?.isFull == true {
            openSeries.remove(group.series)
        } else {
            openSeries.insert(group.series)
        }
    }

    /// A report or key object selection of the study came. The study's own count includes documents; nobody waits for
    /// more of them.
    public mutating func addDocument() {
        documents += 1
    }

    /// The host said that no more instances come; a later instance withdraws it.
    public mutating func hostSaysComplete() {
        hostSaidComplete = true
    }

    /// - Parameter time: `ArrivalClock.time` of the gateway that the study comes from.
    public func reason(at time: Int64) -> Reason? {
        if instances + documents == expectedInstances { return .expectedCount }
        if hostSaidComplete { return .host }
        guard time - lastPosition >= quietMilliseconds else { return nil }
        guard isFullSoFar else { return .quietPeriod }
        return series.values.allSatisfy(\.isFullBySeries) ? .seriesCount : .acquisitionCount
    }

    /// How long nothing must come as things stand, in milliseconds from `lastPosition`.
    public var quietMilliseconds: Int64 { isFullSoFar ? quiet.countedMilliseconds : quiet.milliseconds }

    /// Every series that was begun is full, and no count of the study says that there is more.
    private var isFullSoFar: Bool {
        openSeries.isEmpty && !series.isEmpty && (expectedInstances.map { instances + documents > $0 } ?? true)
    }

    public enum Reason: String, Codable, Sendable {
        case expectedCount = "expected-count"
        case seriesCount = "series-count"
        case acquisitionCount = "acquisition-count"
        case host
        case quietPeriod = "quiet-period"
    }
}
