// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

#if canImport(Glibc)
    import Glibc
#endif

/// Keeps a second gateway out of a state directory, in this process or another: two would hand over each other's
/// outbox. The system lets go of it when the process ends, however it ends.
final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `SQLiteError` when another gateway uses the directory. A file system without locks keeps nobody out.
    init(directory: String) throws(SQLiteError) {
        let opened = unsafe open("\(directory)/gateway.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if opened >= 0, flock(opened, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            Glibc.close(opened)
            throw SQLiteError(
                code: 5, text: "another gateway uses \(directory); close it, or set StateDirectory to another one")
        }
        // Only now: `deinit` also runs for an object whose initialiser throws when every property is set, and a
        // descriptor that is closed twice is somebody else's the second time.
        descriptor = opened
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
