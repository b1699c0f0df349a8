// SPDX-License-Identifier: GPL-3.0-or-later

extension Label {
    /// The statement that counts among those about one finding of one study: the latest authoritative one that was not
    /// withdrawn; while there is none, the latest of the others. Of two from the same moment the one that came last.
    ///
    /// The view `current_label` says the same in SQL; a test holds them together.
    public static func current(_ history: [Label]) -> Label? {
        history.filter { $0.withdrawnAt == nil }.max { $0.place < $1.place }
    }

    private var place: (Int, Int64, Int64) { (isAuthoritative ? 1 : 0, at, id) }
}
