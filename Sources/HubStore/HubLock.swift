// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// Held by the one process that runs a hub on a state folder; the system releases it when the process ends, however.
public final class HubLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `HubStoreError.inUse` when another process holds it.
    public init(_ store: HubStore) throws {
        let path = store.directory.appending(path: "hub.lock").path
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw HubStoreError.inUse(store.directory.path)
        }
        // Only now: `deinit` also runs for an object whose initialiser throws when every property is set, and a descriptor
        // that is closed twice is somebody else's the second time.
        descriptor = file
    }

    deinit { close(descriptor) }
}
