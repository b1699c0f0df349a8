// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB

/// A study's slices as one package sees them, kept for a label that may come later.
public struct ExampleRow: Sendable, Equatable {
    public var study: StudyKey
    public var package: String
    /// A random name in `WorkerStore.examples`.
    public var file: String
    /// Slices that are committed; the file may be longer after a crash.
    public var slices: Int
    public var bytes: Int
    public var state: State
    public var createdAt: Int64

    public enum State: String, Sendable {
        /// The study is still arriving.
        case growing
        case ready
        /// Given up: over budget, or damaged by a crash.
        case dropped
    }

    public init(
        study: StudyKey, package: String, file: String, slices: Int = 0, bytes: Int = 0,
        state: State = .growing, createdAt: Int64
    ) {
        self.study = study
        self.package = package
        self.file = file
        self.slices = slices
        self.bytes = bytes
        self.state = state
        self.createdAt = createdAt
    }

    init(_ row: Row) {
        study = StudyKey(row)
        package = row["package"]
        file = row["file"]
        slices = row["slices"]
        bytes = row["bytes"]
        state = State(rawValue: row["state"]) ?? .dropped
        createdAt = row["created_at_ms"]
    }
}
