// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// The disk space that stays free of what a hub brings or causes, so that the gateway and the database beside it always
/// can write.
struct DiskReserve: Sendable {
    private static let usualBytes = 2 << 30
    private static let usualShare = 20
    private static let mostShare = 4

    /// On the disk in question.
    let folder: URL
    /// nil: `usualBytes` or 1 / `usualShare` of the disk, whichever is more, and no more than 1 / `mostShare` of it.
    let megabytes: Int?

    /// Whether the reserve is still there after `bytes` more; false also when the disk cannot be asked.
    func hasRoom(for bytes: Int) -> Bool {
        guard let (free, total) = space else { return false }
        return free - bytes >= reservedBytes(of: total)
    }

    /// Free space and reserve, for messages.
    var words: String {
        guard let (free, total) = space else { return "the disk under \(folder.path) cannot be asked for its space" }
        return "\(free >> 20) MB are free under \(folder.path), of which "
            + "\(reservedBytes(of: total) >> 20) MB are reserved (disk_reserve_megabytes)"
    }

    private func reservedBytes(of total: Int) -> Int {
        megabytes.map { $0 << 20 } ?? min(max(Self.usualBytes, total / Self.usualShare), total / Self.mostShare)
    }

    private var space: (free: Int, total: Int)? {
        var disk = statvfs()
        guard statvfs(folder.path, &disk) == 0 else { return nil }
        let unit = Int(disk.f_frsize)
        return (Int(disk.f_bavail) * unit, Int(disk.f_blocks) * unit)
    }
}
