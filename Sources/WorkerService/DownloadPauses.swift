// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// When what failed to come from the hub is tried again: after a pause that doubles with each failure. A value of the hub
/// link's thread.
struct DownloadPauses {
    private static let firstMilliseconds: Int64 = 2000
    private static let longestMilliseconds: Int64 = 3_600_000
    /// Lines in the log about packages that a hub names, in an hour.
    private static let mostComplaints = 20

    private var failures: [Hash: (count: Int, until: Int64)] = [:]
    private var complaints = (count: 0, since: Int64.min)

    /// Whether a package may be tried.
    func mayTry(_ package: Hash, at now: Int64) -> Bool { failures[package].map { now >= $0.until } ?? true }

    mutating func failed(_ package: Hash, at now: Int64) {
        let count = failures[package]?.count ?? 0
        let pause = min(Self.firstMilliseconds << min(Int64(count), 20), Self.longestMilliseconds)
        failures[package] = (count + 1, now + pause)
    }

    mutating func succeeded(_ package: Hash) { failures[package] = nil }

    /// An administrator has decided something: nothing waits any more.
    mutating func forget() { failures = [:] }

    /// Keeps what is known about packages that the hub names, and no more.
    mutating func keep(only packages: Set<Hash>) { failures = failures.filter { packages.contains($0.key) } }

    /// Whether one more line may be written: a hub cannot fill the log.
    mutating func mayComplain(at now: Int64) -> Bool {
        if complaints.since == .min || now - complaints.since >= Self.longestMilliseconds { complaints = (0, now) }
        complaints.count += 1
        return complaints.count <= Self.mostComplaints
    }
}
