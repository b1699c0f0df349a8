// SPDX-License-Identifier: GPL-3.0-or-later

/// In whose name a request speaks.
struct Account: Sendable, Equatable {
    /// The role of an account that the setting Reviewers does not name. It is nobody's last word.
    static let unmappedRole = "user"
    /// Name and role of everybody while nobody signs in: GatewayCore's `Verdict.unauthenticated`.
    static let unauthenticated = Account(name: "unauthenticated", role: "unauthenticated")

    var name: String
    var role: String

    var isAuthenticated: Bool { role != Account.unauthenticated.role }
}
