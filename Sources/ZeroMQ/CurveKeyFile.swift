// SPDX-License-Identifier: GPL-3.0-or-later

#if canImport(Glibc)
    import Glibc
#endif

/// Key files of gateways, workers, sites and hub. `NAME.pub` is one line, the public key in 40 characters of Z85, so
/// that a command can take `"$(cat NAME.pub)"`. `NAME.key` has the secret key and is readable by its owner only:
///
///     # a remark
///     name: A
///     public-key: <40 characters of Z85>
///     secret-key: <40 characters of Z85>
public enum CurveKeyFile {
    private static let mostBytes = 4_096

    /// The key pair in a `.key` file.
    ///
    /// - Throws: `CurveKeyFileError.tooOpen` when anybody but the owner could read it, `.otherOwner` when that is
    ///   neither this process's user nor root.
    public static func readSecret(path: String) throws(CurveKeyFileError) -> CurveKeyPair {
        var secret: String?
        var open: String?
        for line in try text(of: path, isSecret: true).split(separator: "\n") where line.first != "#" {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = trimmed(line[line.index(after: colon)...])
            switch trimmed(line[..<colon]) {
            case "secret-key": secret = value
            case "public-key": open = value
            default: break
            }
        }
        guard let secret else {
            throw .unreadable(path, "it has no line secret-key; give the .key file, not the .pub file")
        }
        guard let keys = CurveKeyPair(secretKey: secret) else {
            throw .unreadable(path, "its secret-key is not 40 characters of Z85")
        }
        if let open, open != keys.publicKey {
            throw .unreadable(path, "its public-key does not belong to its secret-key")
        }
        return keys
    }

    /// The public key in a `.pub` file.
    public static func readPublic(path: String) throws(CurveKeyFileError) -> String {
        let key = trimmed(Substring(try text(of: path, isSecret: false)))
        guard CurveKeyPair.isKey(key) else {
            throw .unreadable(path, "it is not one line of 40 characters of Z85; give the .pub file")
        }
        return key
    }

    private static func trimmed(_ text: Substring) -> String {
        guard let first = text.firstIndex(where: { !$0.isWhitespace }),
            let last = text.lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(text[first...last])
    }

    private static func text(of path: String, isSecret: Bool) throws(CurveKeyFileError) -> String {
        // Not waiting: somebody may have put a pipe there.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0 { throw .unreadable(path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        // The descriptor is asked, not the path, so that the file that is read is the one that was checked.
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadable(path, "it is not a plain file")
        }
        if isSecret {
            if status.st_mode & 0o077 != 0 { throw .tooOpen(path, mode: status.st_mode & 0o777) }
            if status.st_uid != geteuid(), status.st_uid != 0 { throw .otherOwner(path) }
        }
        var bytes = [UInt8](repeating: 0, count: mostBytes)
        let count = read(descriptor, &bytes, bytes.count)
        guard count >= 0, let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
            throw .unreadable(path, "it is not a text file")
        }
        return text
    }
}
