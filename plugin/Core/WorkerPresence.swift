// SPDX-License-Identifier: GPL-3.0-or-later

/// Which of the workers that own studies are there, for a moment away, or given up. A worker is known by the state of
/// its database (`ReceiptBook.state`): an endpoint may be answered by another one tomorrow.
struct WorkerPresence {
    private var absentSince: [String: Int64] = [:]
    private var givenUp: Set<String> = []
    /// Owners whose studies wait for them.
    private(set) var away: Set<String> = []

    /// - Parameters:
    ///   - owners: every worker that owns studies.
    ///   - present: those that are connected and take instances.
    ///   - others: whether another worker takes instances now; else nobody is given up.
    /// - Returns: whom to give up now: after `failOverMilliseconds` without them, counted from the first look.
    mutating func look(
        owners: [String], present: Set<String>, others: Bool, failOverMilliseconds: Int64, now: Int64
    ) -> [String] {
        givenUp.subtract(present)
        var due: [String] = []
        var absent: [String: Int64] = [:]
        for owner in owners where !present.contains(owner) {
            let since = absentSince[owner] ?? now
            absent[owner] = since
            if others, !givenUp.contains(owner), now &- since >= failOverMilliseconds { due.append(owner) }
        }
        absentSince = absent
        away = Set(absent.keys).subtracting(givenUp)
        return due
    }

    mutating func giveUp(_ owner: String) {
        givenUp.insert(owner)
        away.remove(owner)
    }
}
