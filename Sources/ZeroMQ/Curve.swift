// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

/// A CURVE key pair (Curve25519), each key as 40 characters of Z85 (ZeroMQ RFC 32).
public struct CurveKeyPair: Sendable, Equatable {
    public let publicKey: String
    public let secretKey: String

    /// Nil when one of the keys is not 40 characters of Z85 or the public key does not belong to the secret key.
    public init?(publicKey: String, secretKey: String) {
        guard CurveKeyPair.publicKey(of: secretKey) == publicKey else { return nil }
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    /// Nil when `secretKey` is not 40 characters of Z85.
    public init?(secretKey: String) {
        guard let publicKey = CurveKeyPair.publicKey(of: secretKey) else { return nil }
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    /// A new random key pair.
    ///
    /// - Throws: `ZeroMQError` (`ENOTSUP`) when libzmq was built without CURVE.
    public static func generate() throws(ZeroMQError) -> CurveKeyPair {
        var publicKey = [CChar](repeating: 0, count: 41)
        var secretKey = [CChar](repeating: 0, count: 41)
        if zmq_curve_keypair(&publicKey, &secretKey) != 0 { throw .last("generate a CURVE key pair") }
        guard let keys = CurveKeyPair(publicKey: text(publicKey), secretKey: text(secretKey)) else {
            throw .last("generate a CURVE key pair")
        }
        return keys
    }

    /// True when `text` could be a CURVE key.
    public static func isKey(_ text: String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 32)
        return text.utf8.count == 40 && zmq_z85_decode(&bytes, text) != nil
    }

    private static func publicKey(of secretKey: String) -> String? {
        guard isKey(secretKey) else { return nil }
        var publicKey = [CChar](repeating: 0, count: 41)
        return zmq_curve_public(&publicKey, secretKey) == 0 ? text(publicKey) : nil
    }

    private static func text(_ key: [CChar]) -> String {
        String(decoding: key.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The Z85 form of a 32-byte CURVE key as it comes in a ZAP request; nil for another length.
func z85Key(_ bytes: [UInt8]) -> String? {
    guard bytes.count == 32 else { return nil }
    var text = [CChar](repeating: 0, count: 41)
    guard zmq_z85_encode(&text, bytes, 32) != nil else { return nil }
    return String(decoding: text.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
