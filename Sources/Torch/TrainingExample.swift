// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// One labelled study: where its preprocessed slices are and what is known about it.
public struct TrainingExample: Sendable, Equatable {
    /// An `ExampleFile`.
    public var file: URL
    /// One for each finding of the manifest, in its order; nil is unknown.
    public var labels: [Bool?]

    public init(file: URL, labels: [Bool?]) {
        self.file = file
        self.labels = labels
    }
}
