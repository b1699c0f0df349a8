// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// An accepted delta with its weight.
public struct Contribution: Sendable, Equatable {
    public var site: String
    /// Content hash of the delta.
    public var hash: Hash
    /// Labelled studies it was trained on.
    public var examples: Int

    public init(site: String, hash: Hash, examples: Int) {
        self.site = site
        self.hash = hash
        self.examples = examples
    }
}
