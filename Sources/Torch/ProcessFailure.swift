// SPDX-License-Identifier: GPL-3.0-or-later

/// How a model process came to its end.
public struct ProcessFailure: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable, CaseIterable {
        /// It ended over a question.
        case died = "model-died"
        /// It gave no answer in time and was ended.
        case hung = "model-hung"
        /// It tried something that no model needs, and was ended.
        case forbidden = "model-forbidden"
    }

    public var kind: Kind
    public var reason: String

    public init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    public var description: String { reason }
}
