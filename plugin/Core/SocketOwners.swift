// SPDX-License-Identifier: GPL-3.0-or-later

#if canImport(Glibc)
    import Glibc
#endif

/// The users whose local sockets may be a worker's: this process's, root, and the one of the setting `WorkerUser`.
///
/// Whoever can write to the socket's folder can put a socket of their own there first. The file is looked at before
/// connecting, and the process that listens afterwards, before anything is sent: between the two the file may have been
/// exchanged.
struct SocketOwners {
    enum Finding: Equatable {
        case trusted
        /// There is nothing at the path: no worker is running.
        case absent
        case refused(String)
    }

    private let allowed: Set<UInt32>
    /// A sentence when `WorkerUser` names nobody.
    let complaint: String?

    /// - Parameter extra: a user's name or number; empty when there is none.
    init(extra: String) {
        var allowed: Set<UInt32> = [0, geteuid()]
        complaint = SocketOwners.add(extra, to: &allowed)
        self.allowed = allowed
    }

    private static func add(_ extra: String, to allowed: inout Set<UInt32>) -> String? {
        if extra.isEmpty { return nil }
        guard let user = UInt32(extra) ?? number(of: extra) else {
            return
                "Setting WorkerUser = “\(extra)”: there is no such user. Workers must run as this process's user or root."
        }
        allowed.insert(user)
        return nil
    }

    private static func number(of name: String) -> UInt32? {
        var buffer = [CChar](repeating: 0, count: 16_384)
        var entry = unsafe passwd()
        var found: UnsafeMutablePointer<passwd>?
        guard unsafe getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, unsafe found != nil else {
            return nil
        }
        return unsafe entry.pw_uid
    }

    func allows(_ user: UInt32) -> Bool { allowed.contains(user) }

    func judge(_ path: String) -> Finding {
        var status = stat()
        // A link could be turned to another socket at any time.
        if unsafe lstat(path, &status) != 0 {
            return errno == ENOENT || errno == ENOTDIR
                ? .absent : .refused("the socket cannot be looked at (errno \(errno))")
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return .refused("it is not a socket") }
        return allows(status.st_uid) ? .trusted : .refused(SocketOwners.strangers(status.st_uid))
    }

    static func strangers(_ user: UInt32) -> String {
        "it belongs to user \(user), who is neither this process's user nor root; if the worker runs as that user, name it "
            + "in the setting WorkerUser"
    }
}
