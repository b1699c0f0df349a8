// SPDX-License-Identifier: GPL-3.0-or-later

/// Who a connection belongs to, as the ZAP handler tells it to libzmq, which hands it out with every frame.
struct Admission: Equatable {
    let user: String
    /// Counts the connections that were let in: two with one user, or one descriptor after the other, can be told apart.
    let number: Int

    init(user: String, number: Int) {
        self.user = user
        self.number = number
    }

    /// Nil for a text that is not an admission's.
    init?(_ text: String) {
        guard let space = text.lastIndex(of: " "), let number = Int(text[text.index(after: space)...]),
            space > text.startIndex
        else { return nil }
        self.init(user: String(text[..<space]), number: number)
    }

    var text: String { "\(user) \(number)" }
}
