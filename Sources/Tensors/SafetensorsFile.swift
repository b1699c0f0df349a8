// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A safetensors file that is read in pieces, so that memory does not depend on its size.
///
/// The header is read and checked once. Reads are positioned (`pread`), so one file may be read from several threads.
/// A file that shrinks meanwhile gives an error, not a fault, which is why it is not memory-mapped.
public final class SafetensorsFile: Sendable {
    public let header: SafetensorsHeader
    public let path: String
    private let descriptor: Int32
    private let positions: [String: Int]

    /// - Parameter allowsTrailing: bytes after the last tensor are no error (a file that is being appended to).
    public init(_ url: URL, allowsTrailing: Bool = false) throws(SafetensorsError) {
        path = url.path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path: path, reason: String(cString: strerror(errno))) }
        do throws(SafetensorsError) {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else {
                throw .file(path: path, reason: String(cString: strerror(errno)))
            }
            let size = Int(status.st_size)
            let prefix = try Self.read(descriptor, path, at: 0, count: min(8, size))
            let length = try SafetensorsHeader.jsonLength(prefix: prefix)
            guard size - 8 >= length else { throw .truncated(expectedBytes: 8 + length, foundBytes: size) }
            header = try SafetensorsHeader(
                json: Self.read(descriptor, path, at: 8, count: length), dataBytes: size - 8 - length,
                allowsTrailing: allowsTrailing)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        positions = Dictionary(uniqueKeysWithValues: header.entries.enumerated().map { ($1.name, $0) })
    }

    deinit { close(descriptor) }

    /// In the order in which `TensorMap` takes them.
    public var names: [String] { header.entries.map(\.name).sorted(by: TensorMap.precedes) }

    /// Nil when there is no tensor of this name.
    public func entry(_ name: String) -> SafetensorsHeader.Entry? {
        positions[name].map { header.entries[$0] }
    }

    /// The values `range` of a tensor in row-major order, as floats.
    ///
    /// - Precondition: `range` lies inside the tensor.
    public func values(of name: String, in range: Range<Int>) throws(SafetensorsError) -> [Float] {
        guard let entry = entry(name) else { throw .noTensor(name: name) }
        precondition(range.lowerBound >= 0 && range.upperBound <= entry.valueCount, "\(range) of \(entry.valueCount)")
        let width = entry.dtype.byteCount
        let offset = header.byteCount + entry.bytes.lowerBound + range.lowerBound * width
        let bytes = try Self.read(descriptor, path, at: offset, count: range.count * width)
        return bytes.withUnsafeBytes { Safetensors.floats($0, entry.dtype) }
    }

    /// The stored bytes of the values `range` of a tensor, unconverted.
    ///
    /// - Precondition: `range` lies inside the tensor.
    public func bytes(of name: String, in range: Range<Int>) throws(SafetensorsError) -> Data {
        guard let entry = entry(name) else { throw .noTensor(name: name) }
        precondition(range.lowerBound >= 0 && range.upperBound <= entry.valueCount, "\(range) of \(entry.valueCount)")
        let width = entry.dtype.byteCount
        let offset = header.byteCount + entry.bytes.lowerBound + range.lowerBound * width
        return try Self.read(descriptor, path, at: offset, count: range.count * width)
    }

    /// Calls `body` with the tensor's values piece by piece, each with the index of its first value.
    public func forEachPiece(
        of name: String, valuesPerPiece: Int = 1 << 18, _ body: (_ start: Int, _ values: [Float]) throws -> Void
    ) throws {
        guard let entry = entry(name) else { throw SafetensorsError.noTensor(name: name) }
        for start in stride(from: 0, to: entry.valueCount, by: valuesPerPiece) {
            try body(start, values(of: name, in: start..<min(start + valuesPerPiece, entry.valueCount)))
        }
    }

    /// The first value, in name and row-major order, that is infinite or not a number. Reads the whole file once.
    public func firstNonFinite() throws -> NonFiniteValue? {
        for name in names {
            var found: Int?
            try forEachPiece(of: name) { start, values in
                if found == nil, let index = values.firstIndex(where: { !$0.isFinite }) { found = start + index }
            }
            if let found { return NonFiniteValue(name: name, index: found) }
        }
        return nil
    }

    /// Nil when `other` has the same names with the same shapes; else the first difference, seen from this file.
    public func hasSameShapes(as other: SafetensorsFile) -> TensorMismatch? {
        for name in Set(positions.keys).union(other.positions.keys).sorted(by: TensorMap.precedes) {
            guard let mine = entry(name) else { return .unexpected(name: name) }
            guard let theirs = other.entry(name) else { return .missing(name: name) }
            if mine.shape != theirs.shape { return .shape(name: name, expected: mine.shape, found: theirs.shape) }
        }
        return nil
    }

    private static func read(
        _ descriptor: Int32, _ path: String, at offset: Int, count: Int
    ) throws(SafetensorsError) -> Data {
        var data = Data(count: count)
        var done = 0
        while done < count {
            let got = data.withUnsafeMutableBytes { bytes in
                pread(descriptor, bytes.baseAddress?.advanced(by: done), count - done, off_t(offset + done))
            }
            if got < 0, errno == EINTR { continue }
            if got < 0 { throw .file(path: path, reason: String(cString: strerror(errno))) }
            if got == 0 { throw .truncated(expectedBytes: offset + count, foundBytes: offset + done) }
            done += got
        }
        return data
    }
}
