// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import Testing
import ZeroMQ

@Suite struct CurveKeyFileTests {
    @Test func `keys come back from the files as they were written`() throws {
        let folder = try TemporaryFolder()
        let keys = try CurveKeyPair.generate()
        let files = try CurveKeyFile.write(keys, name: "A", to: folder.url)
        #expect(try CurveKeyFile.readSecret(path: files.secret.path) == keys)
        #expect(try CurveKeyFile.publicKey(files.public.path) == keys.publicKey)
        #expect(try CurveKeyFile.publicKey(keys.publicKey) == keys.publicKey)
        let mode = try FileManager.default.attributesOfItem(atPath: files.secret.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test func `the public file does not hold the secret key`() throws {
        let folder = try TemporaryFolder()
        let keys = try CurveKeyPair.generate()
        let files = try CurveKeyFile.write(keys, name: "A", to: folder.url)
        #expect(try !String(contentsOf: files.public, encoding: .utf8).contains(keys.secretKey))
        #expect(throws: CurveKeyFileError.self) { try CurveKeyFile.readSecret(path: files.public.path) }
    }

    @Test func `an existing key is never overwritten`() throws {
        let folder = try TemporaryFolder()
        let keys = try CurveKeyPair.generate()
        let files = try CurveKeyFile.write(keys, name: "A", to: folder.url)
        #expect(throws: CurveKeyFileError.exists(files.secret.path)) {
            try CurveKeyFile.write(try CurveKeyPair.generate(), name: "A", to: folder.url)
        }
        #expect(try CurveKeyFile.readSecret(path: files.secret.path) == keys)
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o601])
    func `a secret key that others can reach is refused with the fix`(mode: Int) throws {
        let folder = try TemporaryFolder()
        let files = try CurveKeyFile.write(try CurveKeyPair.generate(), name: "A", to: folder.url)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: files.secret.path)
        let error = #expect(throws: CurveKeyFileError.self) { try CurveKeyFile.readSecret(path: files.secret.path) }
        #expect(error?.description.contains("chmod 600 \(files.secret.path)") == true)
    }

    @Test(arguments: ["", "../x", "a b", "-a", ".hidden", "a/b", String(repeating: "x", count: 65)])
    func `a name that cannot be a file name is refused`(name: String) throws {
        let folder = try TemporaryFolder()
        #expect(throws: CurveKeyFileError.badName(name)) {
            try CurveKeyFile.write(try CurveKeyPair.generate(), name: name, to: folder.url)
        }
    }

    @Test func `a key file with another pair's public key is refused`() throws {
        let folder = try TemporaryFolder()
        let keys = try CurveKeyPair.generate()
        let files = try CurveKeyFile.write(keys, name: "A", to: folder.url)
        let text = try String(contentsOf: files.secret, encoding: .utf8)
            .replacing(keys.publicKey, with: try CurveKeyPair.generate().publicKey)
        try text.write(to: files.secret, atomically: false, encoding: .utf8)
        #expect(throws: CurveKeyFileError.self) { try CurveKeyFile.readSecret(path: files.secret.path) }
    }
}
