// SPDX-License-Identifier: GPL-3.0-or-later

/// Text in which `*` stands for any text, also none; capitals and small letters are the same.
struct Pattern: Sendable, Equatable {
    private let scalars: [Unicode.Scalar]

    init(_ text: String) { scalars = Array(text.lowercased().unicodeScalars) }

    /// Never takes longer than the product of the two lengths.
    func matches(_ text: String) -> Bool {
        let text = Array(text.lowercased().unicodeScalars)
        var at = 0
        var position = 0
        // Where to go on when what followed the last star did not fit.
        var afterStar: Int?
        var retryAt = 0
        while position < text.count {
            if at < scalars.count, scalars[at] == "*" {
                at &+= 1
                afterStar = at
                retryAt = position
            } else if at < scalars.count, scalars[at] == text[position] {
                at &+= 1
                position &+= 1
            } else if let next = afterStar {
                at = next
                retryAt &+= 1
                position = retryAt
            } else {
                return false
            }
        }
        return scalars.dropFirst(at).allSatisfy { $0 == "*" }
    }
}
