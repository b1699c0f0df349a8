// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import WorkerStore

/// Keeps a second worker off the same state directory. The system lifts the lock when the process ends.
final class StateLock: Sendable {
    struct Taken: Error, CustomStringConvertible {
        let path: String

        var description: String { "another gantry-worker runs with the state directory \(path); stop it first" }
    }

    private let descriptor: Int32

    /// Makes the directory when it is missing. Take the lock before anything in it is opened or changed.
    init(_ directory: URL) throws {
        do {
            try FileManager.default.createDirectory(
                at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw WorkerStoreError.cannotWrite(directory.path, error.localizedDescription)
        }
        let file = open(directory.appending(path: "lock").path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw WorkerStoreError.unavailable(directory.path, String(cString: strerror(errno))) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw Taken(path: directory.path)
        }
        descriptor = file
    }

    /// Lets another worker have the directory, before this value goes away.
    func release() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }
}
