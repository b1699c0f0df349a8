// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

#if canImport(Glibc)
    import Glibc
#endif

/// A proxy that signs people in and names them in a header. It proves itself by a secret in another header: an address
/// would be that of everything else on the proxy's machine too, and Orthanc does not tell it to REST callbacks.
struct TrustedProxy: Sendable {
    private static let members: Set<String> = ["UserHeader", "SecretHeader", "SecretFile"]
    private static let secretBytes = 16...1_024

    /// In lower case, as Orthanc gives them.
    let userHeader: String
    let secretHeader: String
    private let secret: [UInt8]

    /// Nil without the setting, and when it cannot be used, with a complaint.
    init?(_ reader: inout SettingsReader) {
        let texts = reader.texts(
            "TrustedProxy", expected: "an object with UserHeader, SecretHeader and SecretFile",
            accepts: { !$0.isEmpty })
        guard !texts.isEmpty else { return nil }
        guard Set(texts.keys) == TrustedProxy.members, let user = texts["UserHeader"],
            let proof = texts["SecretHeader"], let file = texts["SecretFile"], TrustedProxy.isHeader(user),
            TrustedProxy.isHeader(proof), user.lowercased() != proof.lowercased()
        else {
            reader.reject(
                "The setting TrustedProxy must hold UserHeader and SecretHeader, two names of HTTP headers, and "
                    + "SecretFile. No proxy is trusted.")
            return nil
        }
        guard let secret = TrustedProxy.read(file), TrustedProxy.secretBytes.contains(secret.count) else {
            reader.reject(
                "The file \(file) (setting TrustedProxy) does not hold a secret of 16 to 1024 bytes. No proxy is "
                    + "trusted.")
            return nil
        }
        userHeader = user.lowercased()
        secretHeader = proof.lowercased()
        self.secret = secret
    }

    /// Takes as long for a wrong secret as for the right one.
    func proves(_ text: String) -> Bool {
        let given = Array(text.utf8)
        var difference = given.count ^ secret.count
        for (index, byte) in secret.enumerated() {
            difference |= Int(byte ^ (given.indices.contains(index) ? given[index] : 0))
        }
        return difference == 0
    }

    private static func isHeader(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
            }
    }

    /// The file's first line.
    private static func read(_ path: String) -> [UInt8]? {
        guard let file = unsafe fopen(path, "rbe") else { return nil }
        defer { unsafe fclose(file) }
        var buffer = [UInt8](repeating: 0, count: secretBytes.upperBound &+ 2)
        let count = unsafe fread(&buffer, 1, buffer.count, file)
        return Array(buffer.prefix(count).prefix { $0 != 0x0A && $0 != 0x0D })
    }
}
