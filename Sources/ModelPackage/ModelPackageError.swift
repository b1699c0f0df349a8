// SPDX-License-Identifier: GPL-3.0-or-later

/// What is wrong with a model package: in which file, at which key, and what to do about it.
public struct ModelPackageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Path inside the package, or of the package itself.
    public let file: String
    /// JSON key path such as `findings[0].threshold`; nil when it is not about a key.
    public let key: String?
    public let problem: String
    /// What to do next.
    public let fix: String

    public init(file: String, key: String? = nil, problem: String, fix: String) {
        self.file = file
        self.key = key
        self.problem = problem
        self.fix = fix
    }

    public var description: String {
        let place = key.map { "\(file): \($0)" } ?? file
        return "\(place): \(problem); \(fix)"
    }
}
