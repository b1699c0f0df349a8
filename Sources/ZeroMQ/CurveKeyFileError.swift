// SPDX-License-Identifier: GPL-3.0-or-later

/// Why a key file could not be written or used, and what to do about it.
public enum CurveKeyFileError: Error, Equatable, CustomStringConvertible {
    case badName(String)
    case exists(String)
    case cannotWrite(String, String)
    case unreadable(String, String)
    case tooOpen(String, mode: UInt32)
    case otherOwner(String)
    case neitherKeyNorFile(String)

    public var description: String {
        switch self {
        case .badName(let name):
            "“\(name)” cannot be a name: use 1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first"
        case .exists(let path):
            "\(path) exists and is not overwritten; choose another name or folder, or move the file away"
        case .cannotWrite(let path, let why): "cannot write \(path): \(why)"
        case .unreadable(let path, let why): "cannot use the key file \(path): \(why)"
        case .tooOpen(let path, let mode):
            "others can read the secret key \(path) (mode 0\(String(mode, radix: 8))); run: chmod 600 \(path)"
        case .otherOwner(let path):
            "the secret key \(path) belongs to another user; run as that user, or chown the file"
        case .neitherKeyNorFile(let text):
            "“\(text.prefix(80))” is neither a public key (40 characters of Z85) nor a file"
        }
    }
}
