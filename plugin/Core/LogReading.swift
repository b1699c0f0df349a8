// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

#if canImport(Glibc)
    import Glibc
#endif

/// Reads the host's log from where the last reading ended, page by page. Belongs to the archivist's thread.
final class LogReading {
    enum Progress { case more, end, failed }

    private let shared: Shared
    /// The highest outbox number when the reading of this round began.
    private var readThrough: Int64?
    private var found = 0

    init(_ shared: Shared) { self.shared = shared }

    /// - Returns: `.failed` when the host or the database cannot be used now; the next call begins a new round.
    func readPage() -> Progress {
        guard shared.host.readsLog else { return .end }
        do throws(SQLiteError) {
            let state = try shared.store.beginLogReading()
            let through = readThrough ?? state.highestSequence
            readThrough = through
            var known = state.position
            if known == nil { known = try firstPosition() }
            guard let position = known else { return fail() }
            guard let page = shared.host.readLog(after: position) else { return fail() }
            if page.hasMore, page.position == position {
                shared.host.warning("The gateway's log says that there is more after the position it was read from.")
                return fail()
            }
            let new = try shared.store.take(page, readThrough: page.hasMore ? nil : through)
            if new > 0 {
                found &+= new
                shared.live.update { $0.foundInLog &+= new }
                shared.courier.post(.outboxGrew)
            }
            if page.hasMore { return .more }
            if found > 0 {
                shared.host.info("\(found) instances were found in the gateway's log and will be handed over.")
            }
            readThrough = nil
            found = 0
            return .end
        } catch {
            return fail()
        }
    }

    private func fail() -> Progress {
        readThrough = nil
        return .failed
    }

    /// Where a database without position begins: where this installation began, which a file beside the database
    /// remembers; for a new installation at the log's end, or at its beginning when the administrator wants that.
    private func firstPosition() throws(SQLiteError) -> String? {
        let path = shared.settings.stateDirectory + "/gateway.origin"
        if let origin = LogReading.readFile(path) {
            try shared.store.setLogPosition(origin)
            return origin
        }
        guard let position = shared.settings.backfill ? "" : shared.host.readLog(after: nil)?.position else {
            return nil
        }
        try shared.store.setLogPosition(position)
        LogReading.writeFile(path, position)
        return position
    }

    private static func readFile(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = unsafe read(descriptor, &buffer, buffer.count)
        guard count >= 0 else { return nil }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// A file that could not be written costs a longer reading after the next damage, nothing more.
    private static func writeFile(_ path: String, _ text: String) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        _ = unsafe write(descriptor, bytes, bytes.count)
        fsync(descriptor)
    }
}
