// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ZeroMQ

/// Key files of sites and hub. `NAME.pub` is one line, the public key in 40 characters of Z85, so that a command can
/// take `"$(cat NAME.pub)"`. `NAME.key` has the secret key and is readable by its owner only:
///
///     # a remark
///     name: A
///     public-key: <40 characters of Z85>
///     secret-key: <40 characters of Z85>
public enum CurveKeyFile {
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

    /// The key pair in a `.key` file.
    ///
    /// - Throws: `CurveKeyFileError.tooOpen` when anybody but the owner could read it.
    public static func readSecret(_ file: URL) throws(CurveKeyFileError) -> CurveKeyPair {
        var values: [String: String] = [:]
        for line in try read(file, secret: true).split(separator: "\n") where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            values[line[..<colon].trimmingCharacters(in: .whitespaces)] =
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        guard let key = values["secret-key"] else {
            throw .unreadable(file.path, "it has no line secret-key; give the .key file, not the .pub file")
        }
        guard let keys = CurveKeyPair(secretKey: key) else {
            throw .unreadable(file.path, "its secret-key is not 40 characters of Z85")
        }
        if let publicKey = values["public-key"], publicKey != keys.publicKey {
            throw .unreadable(file.path, "its public-key does not belong to its secret-key")
        }
        return keys
    }

    /// A public key given as 40 characters of Z85 or as the path of a `.pub` file.
    public static func publicKey(_ keyOrPath: String) throws(CurveKeyFileError) -> String {
        if CurveKeyPair.isKey(keyOrPath) { return keyOrPath }
        guard FileManager.default.fileExists(atPath: keyOrPath) else { throw .neitherKeyNorFile(keyOrPath) }
        let key = try read(URL(filePath: keyOrPath), secret: false).trimmingCharacters(in: .whitespacesAndNewlines)
        guard CurveKeyPair.isKey(key) else {
            throw .unreadable(keyOrPath, "it is not one line of 40 characters of Z85; give the .pub file")
        }
        return key
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

    private static func read(_ file: URL, secret: Bool) throws(CurveKeyFileError) -> String {
        let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw .unreadable(file.path, String(cString: strerror(errno))) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        // The descriptor is asked, not the path, so that the file that is read is the one that was checked.
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadable(file.path, "it is not a plain file")
        }
        if secret {
            if status.st_mode & 0o077 != 0 { throw .tooOpen(file.path, mode: status.st_mode & 0o777) }
            if status.st_uid != geteuid(), status.st_uid != 0 { throw .otherOwner(file.path) }
        }
        guard let data = try? handle.read(upToCount: 4096), let text = String(validating: data, as: UTF8.self) else {
            throw .unreadable(file.path, "it is not a text file")
        }
        return text
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
