// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Synchronization
import Triage
import WorkerStore

/// The live versions' figures on the site's held-out labels, in memory for the next flag. Any thread.
final class SiteFigures: Sendable {
    struct Key: Hashable {
        /// `ModelVersion.id`
        var version: String
        var finding: String

        init(version: String, finding: String) {
            self.version = version
            self.finding = finding
        }

        init(_ row: ValidationRow) { self.init(version: row.version, finding: row.finding) }
    }

    private let rows = Mutex<[Key: ValidationRow]>([:])

    /// - Parameter threshold: figures at another threshold say nothing about the flag.
    /// - Returns: nil when there are none.
    func validation(version: Hash, finding: String, threshold: Double) -> SiteValidation? {
        guard let row = row(version: version, finding: finding), row.threshold == threshold else { return nil }
        return row.validation
    }

    func row(version: Hash, finding: String) -> ValidationRow? {
        rows.withLock { $0[Key(version: version.hex, finding: finding)] }
    }

    func replace(with new: [ValidationRow]) {
        rows.withLock { $0 = Dictionary(new.map { (Key($0), $0) }, uniquingKeysWith: { $1 }) }
    }
}
