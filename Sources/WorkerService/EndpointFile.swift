// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// The place of an ipc socket: libzmq removes whatever is at the path before it binds, so this looks first.
struct EndpointFile {
    let path: String
    private let folder: String

    /// - Parameter path: of the socket, as it stands in the endpoint.
    init(path: String) {
        self.path = path
        folder = URL(filePath: path).deletingLastPathComponent().path
    }

    /// Makes the folder when it is missing, and checks that nobody else can have put something at the path.
    ///
    /// - Throws: `GatewayLinkError` that says what is in the way.
    func prepare() throws(GatewayLinkError) {
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .noFolder(folder, error.localizedDescription)
        }
        var status = stat()
        guard stat(folder, &status) == 0 else { throw .noFolder(folder, String(cString: strerror(errno))) }
        if status.st_uid != geteuid(), status.st_uid != 0 { throw .foreignFolder(folder) }
        // Not even with the sticky bit, as in /tmp: anybody could be at the path first.
        if status.st_mode & 0o022 != 0 { throw .openFolder(folder, mode: status.st_mode & 0o7777) }
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .inTheWay(path, "is not a socket") }
        guard status.st_uid == geteuid() else { throw .inTheWay(path, "belongs to another user") }
        if isAlive { throw .inTheWay(path, "is the socket of a running process") }
    }

    /// Whether somebody listens: a socket that was left behind turns connections down.
    private var isAlive: Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
