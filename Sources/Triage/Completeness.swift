// SPDX-License-Identifier: GPL-3.0-or-later

/// When a study has arrived completely, by the best evidence there is: the count that the study itself carries, the
/// host's word, else a quiet period.
public struct Completeness: Sendable, Equatable {
    /// NumberOfStudyRelatedInstances (0020,1208), when instances carry it; the highest value seen.
    public private(set) var expectedInstances: Int?
    public private(set) var instances: Int
    /// Place of the last new instance on the gateway's stream, in milliseconds (`ArrivalClock`).
    public private(set) var lastPosition: Int64
    private var hostSaidComplete = false
    private let quietMilliseconds: Int64

    /// - Parameters:
    ///   - instances: how many are known already, for a study that is opened again.
    ///   - position: where the quiet period starts.
    public init(quietMilliseconds: Int64, instances: Int = 0, expectedInstances: Int? = nil, position: Int64) {
        self.quietMilliseconds = quietMilliseconds
        self.instances = instances
        self.expectedInstances = expectedInstances
        lastPosition = position
    }

    /// A new instance of the study is worked off. Repeats are not counted here.
    public mutating func add(expectedInstances: Int?, position: Int64) {
        instances += 1
        if let expectedInstances, expectedInstances > 0 {
            self.expectedInstances = max(self.expectedInstances ?? 0, expectedInstances)
        }
        lastPosition = max(lastPosition, position)
        hostSaidComplete = false
    }

    /// The host said that no more instances come; a later instance withdraws it.
    public mutating func hostSaysComplete() {
        hostSaidComplete = true
    }

    /// - Parameter time: `ArrivalClock.time` of the gateway that the study comes from.
    public func reason(at time: Int64) -> Reason? {
        if let expectedInstances, instances >= expectedInstances { return .expectedCount }
        if hostSaidComplete { return .host }
        return time - lastPosition >= quietMilliseconds ? .quietPeriod : nil
    }

    public enum Reason: String, Sendable {
        case expectedCount = "expected-count"
        case host
        case quietPeriod = "quiet-period"
    }
}
