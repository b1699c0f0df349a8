// SPDX-License-Identifier: GPL-3.0-or-later
import CArchive
import Foundation

/// The arrays of a `.npz` file: a zip of `.npy` files of little-endian doubles, as numpy.savez writes them.
struct NumpyArchive {
    struct Array {
        var shape: [Int]
        var values: [Double]
    }

    private(set) var arrays: [String: Array] = [:]

    init(_ url: URL) throws {
        let archive = archive_read_new()
        defer { archive_read_free(archive) }
        archive_read_support_format_zip(archive)
        guard archive_read_open_filename(archive, url.path, 1 << 16) == ARCHIVE_OK else {
            throw CocoaError(.fileReadCorruptFile)
        }
        var entry: OpaquePointer?
        while archive_read_next_header(archive, &entry) == ARCHIVE_OK {
            var bytes = Data()
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            while case let count = archive_read_data(archive, &piece, piece.count), count > 0 {
                bytes.append(contentsOf: piece.prefix(count))
            }
            let name = String(cString: archive_entry_pathname(entry))
            arrays[String(name.prefix { $0 != "." })] = try Self.read(bytes)
        }
    }

    /// Version 1 of the format: magic, version, length of the header, and a Python dictionary.
    private static func read(_ bytes: Data) throws -> Array {
        let header = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        let text = String(decoding: bytes[10..<header], as: UTF8.self)
        guard text.contains("'<f8'"), let shape = text.firstMatch(of: /\(([0-9, ]*)\)/) else {
            throw CocoaError(.fileReadCorruptFile)
        }
        let body = [UInt8](bytes[header...])
        return body.withUnsafeBytes { raw in
            Array(
                shape: shape.1.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) },
                values: stride(from: 0, to: raw.count, by: 8).map {
                    raw.loadUnaligned(fromByteOffset: $0, as: Double.self)
                })
        }
    }
}
