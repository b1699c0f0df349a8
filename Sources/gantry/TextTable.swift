// SPDX-License-Identifier: GPL-3.0-or-later

extension [[String]] {
    /// Rows as lines whose columns begin at the same place.
    func aligned() -> String {
        let columns = map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            self.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return map { row in
            row.enumerated().map { column, text in
                column == row.count - 1
                    ? text : text + String(repeating: " ", count: widths[column] - text.count + 2)
            }.joined()
        }.joined(separator: "\n")
    }
}
