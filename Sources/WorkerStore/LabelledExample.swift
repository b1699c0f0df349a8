// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A study's kept slices together with what is known about it.
public struct LabelledExample: Sendable, Equatable {
    public var study: StudyKey
    /// Name of the file in `WorkerStore.examples`.
    public var file: String
    public var slices: Int
    /// By finding name; findings without a label are missing.
    public var labels: [String: Bool]
}
