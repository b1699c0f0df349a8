// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ZeroMQ

extension CurveKeyFile {
    /// Writes `name.key` (0600) and `name.pub` (0644) into `directory`, which is created (0700) when missing.
    ///
    /// - Returns: where the two files are.
    /// - Throws: `CurveKeyFileError`; an existing file is never overwritten.
    @discardableResult
    public static func write(
        _ keys: CurveKeyPair, name: String, to directory: URL
    ) throws(CurveKeyFileError) -> (secret: URL, public: URL) {
        guard name.isSiteName else { throw .badName(name) }
        let secret = directory.appending(path: "\(name).key")
        let open = directory.appending(path: "\(name).pub")
        do {
            try FileManager.default.createDirectory(
                at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .cannotWrite(directory.path, "the folder cannot be made")
        }
        for file in [secret, open] where FileManager.default.fileExists(atPath: file.path) {
            throw .exists(file.path)
        }
        try create(
            secret, mode: 0o600,
            """
            # Gantry secret key. Never copy it off this machine, never send it to anybody.
            name: \(name)
            public-key: \(keys.publicKey)
            secret-key: \(keys.secretKey)

            """)
        try create(open, mode: 0o644, keys.publicKey + "\n")
        return (secret, open)
    }

    /// A public key given as 40 characters of Z85 or as the path of a `.pub` file.
    public static func publicKey(_ keyOrPath: String) throws(CurveKeyFileError) -> String {
        if CurveKeyPair.isKey(keyOrPath) { return keyOrPath }
        guard FileManager.default.fileExists(atPath: keyOrPath) else { throw .neitherKeyNorFile(keyOrPath) }
        return try readPublic(path: keyOrPath)
    }

    private static func create(_ file: URL, mode: mode_t, _ text: String) throws(CurveKeyFileError) {
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        if descriptor < 0 {
            if errno == EEXIST { throw .exists(file.path) }
            throw .cannotWrite(file.path, String(cString: strerror(errno)))
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: Data(text.utf8))
            try handle.synchronize()
        } catch {
            unlink(file.path)
            throw .cannotWrite(file.path, String(cString: strerror(errno)))
        }
    }
}

extension String {
    /// A name that a site can have: it becomes part of file names, log lines and metrics.
    public var isSiteName: Bool {
        guard (1...64).contains(utf8.count), let first = utf8.first else { return false }
        func alphanumeric(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        return alphanumeric(first) && utf8.allSatisfy { alphanumeric($0) || $0 == 0x2d || $0 == 0x2e || $0 == 0x5f }
    }
}
