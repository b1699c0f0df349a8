// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import WorkerStore

/// The disk space that a hub may use at this site.
struct HubDisk: Sendable {
    let store: WorkerStore
    let reserve: DiskReserve
    /// Of one package with one version.
    let packageMegabytes: Int
    /// Of everything that came from the hub.
    let hubMegabytes: Int

    init(_ settings: WorkerSettings, store: WorkerStore) {
        self.store = store
        reserve = DiskReserve(folder: store.directory, megabytes: settings.diskReserveMegabytes)
        packageMegabytes = settings.packageMegabytes
        hubMegabytes = settings.hubMegabytes
    }

    /// - Throws: `FetchFailure` when so much may not come.
    func admit(_ bytes: Int, of name: String) throws {
        let megabytes = (bytes >> 20) + 1
        guard bytes <= packageMegabytes << 20 else {
            throw FetchFailure.tooLarge(name: name, megabytes: megabytes, limit: packageMegabytes)
        }
        let used = try store.hubBytes()
        guard used + bytes <= hubMegabytes << 20 else {
            throw FetchFailure.budgetUsedUp(
                name: name, megabytes: megabytes, used: used >> 20, limit: hubMegabytes)
        }
        try keepReserve(roomFor: bytes, of: name)
    }

    /// - Throws: `FetchFailure` when the disk's reserve would be touched.
    func keepReserve(roomFor bytes: Int, of name: String) throws {
        guard reserve.hasRoom(for: bytes) else {
            throw FetchFailure.noRoom(name: name, megabytes: (bytes >> 20) + 1, disk: reserve.words)
        }
    }
}
